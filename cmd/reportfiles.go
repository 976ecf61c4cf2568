package cmd

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/source"
)

// reportFiles shows what stands in files.
func (a *App) reportFiles(ctx context.Context, f *reportFlags, names []string) error {
	groups, problems, err := f.groups(names)
	if err != nil {
		return err
	}
	set := reports.NewSet(0, "")
	for _, format := range reports.Formats() {
		var sources []reports.Source
		for _, name := range groups[format] {
			sources = append(sources, reports.Source{Path: name, Open: func() (io.ReadCloser, error) { return reports.OpenFile(ctx, name) }})
		}
		if len(sources) == 0 {
			continue
		}
		r := reports.Read(string(format), format, sources, f.reportLimits())
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

// placeTime is how long files are looked for that reports name.
const placeTime = 3 * time.Second

// place finds in the source what the reports name, if they name any.
func (f *reportFlags) place(ctx context.Context, set *reports.Set) {
	covered := slices.ContainsFunc(set.Reports, func(r *reports.Report) bool { return r.Type == reports.CodeCoverage })
	if !covered && !set.Bad() {
		return
	}
	limited, cancel := context.WithTimeout(ctx, placeTime)
	defer cancel()
	hide := []string{outputName}
	tree := reports.NewTree(filepath.ToSlash(f.sourceDir()), (&source.Source{Dir: f.sourceDir(), Hide: hide}).Names(limited))
	for _, r := range set.Reports {
		r.Place(tree)
	}
}

func (a *App) showFiles(f *reportFlags, set *reports.Set) error {
	switch {
	case f.html != "" || f.format == "html":
		return a.showPage(f, pageOf{f.runFlags, nil, nil, set}, console.PageName)
	case f.format == "text":
		return a.showReports(f, readable(set))
	}
	return a.showReports(f, set)
}

// readable is what could be read; the problems are told as errors.
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

// problemOf is a report's problem as one of a text that somebody wrote.
func problemOf(p reports.Problem) diag.Problem {
	return diag.Problem{Severity: diag.Error, File: p.File, Line: p.Line, Message: p.Message()}
}

// groups puts files together that have one format. The problems are files of no format
// that is known, where none is given.
func (f *reportFlags) groups(names []string) (map[reports.Format][]string, diag.List, error) {
	all := map[reports.Format][]string{}
	var problems diag.List
	var errs []error
	given, err := reports.ParseFormat(f.fileFormat)
	if err != nil {
		return nil, nil, usagef("--file-format: %w", err)
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
			message = "it looks like none of the formats of reports; --file-format says which one it is"
		}
		problems = append(problems, diag.Problem{Severity: diag.Error, File: name, Message: message})
	}
	return all, problems, joined(errs)
}

// looksLike says what a file looks like, empty for what is not known. The error says that
// it cannot be opened, or is a directory.
func looksLike(name string) (string, error) {
	in, err := regular.Open(name)
	var kind *regular.Error
	if errors.As(err, &kind) && kind.Mode.IsDir() {
		return "", usagef("%s is a directory; expected files, such as %s", name, filepath.Join(name, "*.xml"))
	}
	if err != nil {
		return "", usagef("%w", err)
	}
	defer in.Close()
	return reports.DetectFormat(in), nil
}
