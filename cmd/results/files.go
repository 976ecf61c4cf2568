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

// reportFiles shows the results in report files: one report for each format, as if a build
// had a report group of that format with these files. Files that cannot be read are
// reported after the results of the others.
func reportFiles(ctx context.Context, a *cli.App, o *ReportOptions) error {
	groups, problems, err := groupByFormat(o.Args, o.FileFormat)
	if err != nil {
		return err
	}
	set := reports.NewSet(0, "")               // of no build and no project
	for _, format := range reports.Formats() { // a fixed order, which a map does not have
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
		r := reports.Read(string(format), format, sources, o.ReportLimits())
		set.Reports = append(set.Reports, r)
		for _, p := range r.Problems {
			problems = append(problems, problemOf(p))
		}
	}
	// Reading stops early after an interrupt, and its problems would only say so.
	if err := context.Cause(ctx); err != nil {
		return err
	}
	findPlaces(ctx, o, set)
	if err := showFiles(a, o, set); err != nil {
		return err
	}
	return problems.Err()
}

// maxPlaceTime limits the search for files that reports refer to. In a huge directory that
// is not a source, results without places are better than none.
const maxPlaceTime = 3 * time.Second

// findPlaces finds the source files that the reports refer to. Reports often name them by
// the paths of another machine or by class, so all names of the source are needed. Reports
// without failures and coverage refer to no file that is shown.
func findPlaces(ctx context.Context, o *ReportOptions, set *reports.Set) {
	// Listing a large source takes seconds, so it is done only if something refers to it.
	covered := slices.ContainsFunc(set.Reports, func(r *reports.Report) bool { return r.Type == reports.CodeCoverage })
	if !covered && !set.Bad() {
		return
	}
	limited, cancel := context.WithTimeout(ctx, maxPlaceTime)
	defer cancel()
	hide := []string{local.OutputName} // copies of artifacts there have the same names
	tree := reports.NewTree(
		filepath.ToSlash(o.SourceDir()),
		(&source.Source{Dir: o.SourceDir(), Hide: hide}).Names(limited),
	)
	for _, r := range set.Reports {
		r.Place(tree)
	}
}

// showFiles shows the reports of files. The page has no build, so no log and no artifacts.
func showFiles(a *cli.App, o *ReportOptions, set *reports.Set) error {
	switch {
	case o.wantsPage():
		return showPage(a, o.HTML, local.Page{Reports: set, SourceDir: o.SourceDir()}, console.PageName)
	case o.Format == "text":
		return showReports(a, o, readable(set))
	}
	return showReports(a, o, set)
}

// readable returns the reports of which at least one file could be read, if only by this
// program and not by CodeBuild, without their
// problems: those are printed as errors at the end, with the name of the file.
func readable(set *reports.Set) *reports.Set {
	all := reports.NewSet(0, "")
	for _, r := range set.Reports {
		if len(r.Problems) == len(r.Files) && r.Empty() { // none of them could be read
			continue
		}
		good := *r
		good.Problems = nil
		all.Reports = append(all.Reports, &good)
	}
	return all
}

// problemOf converts a problem of a report file to one that is printed with its position.
func problemOf(p reports.Problem) diag.Problem {
	return diag.Problem{Severity: diag.Error, File: p.File, Line: p.Line, Message: p.Message()}
}

// groupByFormat returns the files by format: that of --file-format, or if it is "" the one
// that their contents look like. The problems are files whose format is not known. Files
// that cannot be opened are errors, because their names are probably misspelt.
func groupByFormat(names []string, fileFormat string) (map[reports.Format][]string, diag.List, error) {
	all := map[reports.Format][]string{}
	var problems diag.List
	var errs []error
	given, err := reports.ParseFormat(fileFormat)
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
		// --file-format wins over the contents: an unusual file may look like another format.
		known := fileFormat != ""
		if !known {
			format, known = reports.ReadFormat(like)
		}
		if known {
			all[format] = append(all[format], name)
			continue
		}
		// The file may be of a known kind that is no test report, such as an HTML page.
		message := "it looks like " + like
		if like == "" {
			message = "unknown report format; set it with --file-format"
		}
		problems = append(problems, diag.Problem{Severity: diag.Error, File: name, Message: message})
	}
	return all, problems, cli.JoinErrors(errs)
}

// looksLike returns a description of a file's format, or "". Directories are an error:
// which of their files are reports is for the buildspec or the shell to say.
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
