package results

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/source"
)

// reportFiles shows the results in report files.
func (a commands) reportFiles(ctx context.Context, f *reportFlags, names []string) error {
	groups, problems, err := f.groups(names)
	if err != nil {
		return err
	}
	set := reports.NewSet(0, "")
	for _, format := range reports.Formats() {
		var sources []reports.Source
		for _, name := range groups[format] {
			sources = append(
				sources,
				reports.Source{Path: name, Open: func() (io.ReadCloser, error) { return reports.OpenFile(ctx, name) }},
			)
		}
		if len(sources) == 0 {
			continue
		}
		r := reports.Read(string(format), format, sources, f.ReportLimits())
		set.Reports = append(set.Reports, r)
		for _, p := range r.Problems {
			problems = append(problems, problemOf(p))
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	f.place(ctx, set)
	if err := a.showFiles(f, set); err != nil {
		return err
	}
	return problems.Err()
}

// maxPlaceTime limits the search for files that reports refer to.
const maxPlaceTime = 3 * time.Second

// place finds the source files that the reports refer to. Reports without failures and
// coverage refer to none that are shown.
func (f *reportFlags) place(ctx context.Context, set *reports.Set) {
	covered := slices.ContainsFunc(set.Reports, func(r *reports.Report) bool { return r.Type == reports.CodeCoverage })
	if !covered && !set.Bad() {
		return
	}
	limited, cancel := context.WithTimeout(ctx, maxPlaceTime)
	defer cancel()
	hide := []string{local.OutputName}
	tree := reports.NewTree(
		filepath.ToSlash(f.SourceDir()),
		(&source.Source{Dir: f.SourceDir(), Hide: hide}).Names(limited),
	)
	for _, r := range set.Reports {
		r.Place(tree)
	}
}

func (a commands) showFiles(f *reportFlags, set *reports.Set) error {
	switch {
	case f.html != "" || f.format == "html":
		return a.showPage(f, local.Page{Reports: set, SourceDir: f.SourceDir()}, console.PageName)
	case f.format == "text":
		return a.showReports(f, readable(set))
	}
	return a.showReports(f, set)
}

// readable returns the reports of which a file could be read. Problems are reported as
// errors.
func readable(set *reports.Set) *reports.Set {
	all := reports.NewSet(0, "")
	for _, r := range set.Reports {
		if len(r.Problems) == len(r.Files) {
			continue
		}
		good := *r
		good.Problems = nil
		all.Reports = append(all.Reports, &good)
	}
	return all
}

// problemOf converts a problem of a report file.
func problemOf(p reports.Problem) diag.Problem {
	return diag.Problem{Severity: diag.Error, File: p.File, Line: p.Line, Message: p.Message()}
}

// groups returns the files by format. The problems are files whose format is not known.
func (f *reportFlags) groups(names []string) (map[reports.Format][]string, diag.List, error) {
	all := map[reports.Format][]string{}
	var problems diag.List
	var errs []error
	given, err := reports.ParseFormat(f.fileFormat)
	if err != nil {
		return nil, nil, cli.Usagef("--file-format: %w", err)
	}
	for _, name := range names {
		format := given
		like, err := looksLike(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		known := f.fileFormat != ""
		if !known {
			format, known = reports.ReadFormat(like)
		}
		if known {
			all[format] = append(all[format], name)
			continue
		}
		message := "it looks like " + like
		if like == "" {
			message = "unknown report format; set it with --file-format"
		}
		problems = append(problems, diag.Problem{Severity: diag.Error, File: name, Message: message})
	}
	return all, problems, cli.JoinErrors(errs)
}

// looksLike returns a description of a file's format, or "". Directories are an error.
func looksLike(name string) (string, error) {
	in, err := regular.Open(name)
	var kind *regular.Error
	if errors.As(err, &kind) && kind.Mode.IsDir() {
		return "", cli.Usagef("%s is a directory; expected files, such as %s", name, filepath.Join(name, "*.xml"))
	}
	if err != nil {
		return "", cli.Usagef("%w", err)
	}
	defer in.Close()
	return reports.DetectFormat(in), nil
}
