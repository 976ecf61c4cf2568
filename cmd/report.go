package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/source"
)

// reportFlags are the flags of report.
type reportFlags struct {
	*runFlags
	fileFormat string
	format     string
	html       string
}

// pageFlag is what --html has without a value: the page goes where it always is.
const pageFlag = "-"

func newReport(a *App) *cobra.Command {
	f := &reportFlags{runFlags: &runFlags{}}
	c := &cobra.Command{
		Use: "report [BUILD | FILE...]", Short: "Show test and coverage reports of a build, or of files",
		Long: "report shows what the tests of a build said: of the latest one, of the one of a\n" +
			"number, or with names of files what stands in them, without any build. Files are\n" +
			"read in the format that --file-format names, else in the one they look like.\n\n" +
			"Exit codes: 0 also where tests failed, 2 there is no such build or file, 3 a file\n" +
			"cannot be read.",
		Example: "  buildlocal report\n  buildlocal report 7 --format junit\n  buildlocal report --html\n  buildlocal report target/surefire-reports/*.xml --file-format JUNITXML",
	}
	all := allRunFlags(f.runFlags)
	c.Flags().SortFlags = false
	for _, name := range []string{"source", "output", "full-reports", "verbose"} {
		c.Flags().AddFlag(all.Lookup(name))
	}
	c.Flags().StringVar(&f.fileFormat, "file-format", "", "read files as `FORMAT`, as in a buildspec")
	c.Flags().StringVar(&f.format, "format", "text", "show them as `FORMAT`: text, json, junit, html or lcov")
	c.Flags().StringVar(&f.html, "html", "", "write the page to `FILE` (default report.html of the build, or here)")
	c.Flags().Lookup("html").NoOptDefVal = pageFlag
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.settle(a, c); err != nil {
			return err
		}
		if !slices.Contains([]string{"text", "json", "junit", "html", "lcov"}, f.format) {
			return usagef("--format: unknown format %q (expected text, json, junit, html or lcov)", f.format)
		}
		return a.report(f, args)
	}
	return c
}

// report shows the reports of a build or of files.
func (a *App) report(f *reportFlags, args []string) error {
	s, err := newStore(f.outputDir())
	if err != nil {
		return err
	}
	if f.fileFormat == "" && len(args) <= 1 {
		name := append(args, "latest")[0]
		dir, err := s.build(name)
		if _, missing := os.Stat(name); err != nil && (len(args) == 0 || missing != nil) {
			return err
		}
		if err == nil {
			return a.reportBuild(f, s, dir)
		}
	}
	if len(args) == 0 {
		return usagef("--file-format says how files are read, and no files are given; %s has an example", "buildlocal report --help")
	}
	return a.reportFiles(f, args)
}

// reportBuild shows what a build left.
func (a *App) reportBuild(f *reportFlags, s *store, dir string) error {
	set, err := reports.ReadSet(dir)
	if err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	if f.format == "lcov" || f.format == "html" || f.html != "" {
		detail(set, dir)
	}
	if f.html != "" {
		file := f.html
		if file == pageFlag {
			file = filepath.Join(dir, console.PageName)
		}
		return a.writePage(f.runFlags, s, dir, set, file)
	}
	if f.format == "html" {
		return a.page(a.Stdout, f.runFlags, s, dir, set)
	}
	if len(set.Reports) == 0 && f.format == "text" {
		_, err := fmt.Fprintf(a.Stdout, "Build %s left no reports.\n", filepath.Base(dir))
		return err
	}
	return a.showReports(f, set)
}

// detail reads the lines of covered files anew, from the files that the build kept.
func detail(set *reports.Set, dir string) {
	for _, r := range set.Reports {
		if r.Type != reports.CodeCoverage || r.Dir == "" {
			continue
		}
		root, err := os.OpenRoot(filepath.Join(dir, filepath.FromSlash(r.Dir)))
		if err != nil {
			continue
		}
		var files []reports.Source
		_ = filepath.WalkDir(root.Name(), func(path string, e os.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				name, _ := filepath.Rel(root.Name(), path)
				files = append(files, reports.Source{Path: name, Open: func() (io.ReadCloser, error) { return root.Open(name) }})
			}
			return nil
		})
		r.AddDetail(reports.Read(r.Group, r.Format, files, reports.ServiceLimits()))
		_ = root.Close()
	}
}

// reportFiles shows what stands in files.
func (a *App) reportFiles(f *reportFlags, names []string) error {
	groups, err := f.groups(names)
	if err != nil {
		return err
	}
	set := &reports.Set{}
	files, _ := (&source.Source{Dir: f.sourceDir()}).Files()
	tree := reports.NewTree(filepath.ToSlash(f.sourceDir()), files)
	var problems diag.List
	for _, format := range reports.Formats() {
		var sources []reports.Source
		for _, name := range groups[format] {
			sources = append(sources, reports.Source{Path: name, Open: func() (io.ReadCloser, error) { return os.Open(name) }})
		}
		if len(sources) == 0 {
			continue
		}
		r := reports.Read(string(format), format, sources, f.reportLimits())
		r.Place(tree)
		set.Reports = append(set.Reports, r)
		for _, p := range r.Problems {
			problems = append(problems, problemOf(p))
		}
	}
	if err := a.showFiles(f, set); err != nil {
		return err
	}
	return problems.Err()
}

func (a *App) showFiles(f *reportFlags, set *reports.Set) error {
	switch {
	case f.html == pageFlag:
		return a.writePage(f.runFlags, nil, "", set, console.PageName)
	case f.html != "":
		return a.writePage(f.runFlags, nil, "", set, f.html)
	case f.format == "html":
		return a.page(a.Stdout, f.runFlags, nil, "", set)
	}
	if f.format == "text" {
		return a.showReports(f, readable(set))
	}
	return a.showReports(f, set)
}

// readable is what could be read; the problems are told as errors.
func readable(set *reports.Set) *reports.Set {
	all := &reports.Set{}
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

// groups puts files together that have one format.
func (f *reportFlags) groups(names []string) (map[reports.Format][]string, error) {
	all := map[reports.Format][]string{}
	var errs []error
	given, err := reports.ParseFormat(f.fileFormat)
	if err != nil {
		return nil, usagef("--file-format: %w", err)
	}
	for _, name := range names {
		in, err := os.Open(name)
		if err != nil {
			errs = append(errs, usagef("%w", err))
			continue
		}
		format := given
		if info, err := in.Stat(); err == nil && info.IsDir() {
			errs = append(errs, usagef("%s is a directory; expected files, such as %s", name, filepath.Join(name, "*.xml")))
		}
		if f.fileFormat == "" {
			like := reports.Like(in)
			known := false
			if format, known = reports.ReadFormat(like); !known {
				format = reports.JUnitXML // which says what is wrong with it
			}
		}
		_ = in.Close()
		all[format] = append(all[format], name)
	}
	return all, joined(errs)
}

// showReports writes reports to standard output, as --format says.
func (a *App) showReports(f *reportFlags, set *reports.Set) error {
	switch f.format {
	case "json":
		text, err := json.MarshalIndent(set, "", "  ")
		if err != nil {
			return err
		}
		_, err = a.Stdout.Write(append(text, '\n'))
		return err
	case "junit":
		return reports.WriteJUnit(a.Stdout, set.Reports)
	case "lcov":
		return reports.WriteLCOV(a.Stdout, set.Reports)
	}
	terminal := a.isTerminal()
	t := console.NewText(a.Stdout, console.Options{
		Color: a.color(terminal), Terminal: terminal, Verbose: f.verbose,
		Links: a.links(terminal), Source: f.shownSource(), SourceDir: f.sourceDir(),
	})
	t.Reports(set)
	return t.Err()
}

// reportLimits are the service's, or none.
func (f *runFlags) reportLimits() reports.Limits {
	if f.fullReports {
		return reports.Limits{}
	}
	return reports.ServiceLimits()
}

// sourceDir is the source's directory, absolute.
func (f *runFlags) sourceDir() string {
	dir, err := filepath.Abs(f.source)
	if err != nil {
		return f.source
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	return dir
}

// shownSource is the source's directory as the user would type it; nothing for this one.
func (f *runFlags) shownSource() string {
	if f.source == "." {
		return ""
	}
	return filepath.ToSlash(f.source)
}

// links reports whether the terminal opens links. Most newer ones do, and the others
// mostly pass over them; these are known to.
func (a *App) links(terminal bool) bool {
	if !terminal || a.env("TERM") == "dumb" || a.env("TERM") == "linux" {
		return false
	}
	for _, name := range []string{"VTE_VERSION", "WT_SESSION", "KITTY_WINDOW_ID", "KONSOLE_VERSION", "DOMTERM"} {
		if a.env(name) != "" {
			return true
		}
	}
	return slices.Contains([]string{"iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper"}, a.env("TERM_PROGRAM")) || strings.HasPrefix(a.env("TERM"), "foot")
}

// earlier returns the reports of the last build of a project, before one of a number,
// that had any; nil for none.
func (s *store) earlier(project string, number int) *reports.Set {
	entries, _ := os.ReadDir(filepath.Join(s.dir, "builds"))
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return buildNumber(b.Name()) - buildNumber(a.Name()) })
	for _, e := range entries {
		if n := buildNumber(e.Name()); n <= 0 || n >= number {
			continue
		}
		set, err := reports.ReadSet(filepath.Join(s.dir, "builds", e.Name()))
		if err == nil && set.Project == project && len(set.Reports) > 0 {
			return set
		}
	}
	return nil
}
