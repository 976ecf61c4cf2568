package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

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
const pageFlag = "auto"

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
	c.Flags().StringVar(&f.html, "html", "", "write the page to `FILE`, as --html=FILE; auto is report.html of the build, or here")
	c.Flags().Lookup("html").NoOptDefVal = pageFlag
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.settle(a, c); err != nil {
			return err
		}
		if err := f.checkReport(c, args); err != nil {
			return err
		}
		return a.report(c.Context(), f, args)
	}
	return c
}

// checkReport refuses what cannot be meant.
func (f *reportFlags) checkReport(c *cobra.Command, args []string) error {
	switch {
	case !slices.Contains([]string{"text", "json", "junit", "html", "lcov"}, f.format):
		return usagef("--format: unknown format %q (expected text, json, junit, html or lcov)", f.format)
	case f.html != "" && c.Flags().Changed("format"):
		return usagef("--html writes the page, and --format %s asks for something else; give one", f.format)
	case f.html == pageFlag && slices.ContainsFunc(args, func(name string) bool { return filepath.Ext(name) == ".html" }):
		return usagef("--html takes its file behind =, as in --html=page.html")
	case f.fileFormat != "" && len(args) == 0:
		return usagef("--file-format says how files are read, and no files are given; %s --help has an example", c.CommandPath())
	}
	return nil
}

// report shows the reports of a build or of files.
func (a *App) report(ctx context.Context, f *reportFlags, args []string) error {
	s, err := newStore(f.outputDir())
	if err != nil {
		return err
	}
	if f.fileFormat != "" || len(args) > 1 {
		return a.reportFiles(ctx, f, args)
	}
	name := append(args, "latest")[0]
	dir, err := s.build(name)
	if err == nil {
		return a.reportBuild(f, s, dir)
	}
	if _, missing := os.Stat(name); len(args) == 1 && missing == nil {
		return a.reportFiles(ctx, f, args)
	}
	if _, notNumber := strconv.Atoi(strings.TrimPrefix(name, "#")); len(args) == 1 && notNumber != nil {
		return usagef("there is no file %s, and no build of that name", name)
	}
	return err
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
	if f.html != "" || f.format == "html" {
		return a.showPage(f, pageOf{f.runFlags, s, dir, set}, filepath.Join(dir, console.PageName))
	}
	if len(set.Reports) == 0 && f.format == "text" {
		_, err := fmt.Fprintf(a.Stdout, "Build %s left no reports.\n", filepath.Base(dir))
		return err
	}
	if f.format == "text" {
		if err := a.headline(s, dir); err != nil {
			return err
		}
	}
	return a.showReports(f, set)
}

// headline says of which build the reports are, and where its page is.
func (a *App) headline(s *store, dir string) error {
	r, err := readRecord(dir)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Stdout, "%s #%d %s, %s\n", r.Project, r.Number, r.Status, s.shown(filepath.Join(dir, console.PageName)))
	return err
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
		return a.showPage(f, pageOf{f.runFlags, nil, "", set}, console.PageName)
	case f.format == "text":
		return a.showReports(f, readable(set))
	}
	return a.showReports(f, set)
}

// showPage writes the page to standard output, or into a file, and says which.
func (a *App) showPage(f *reportFlags, p pageOf, usual string) error {
	file := f.html
	switch file {
	case "", "-":
		return p.write(a.Stdout, true)
	case pageFlag:
		file = usual
	}
	if err := p.file(file); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.Stdout, file)
	return err
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

// looksLike says what a file looks like; one that is XML is told so by its reader.
func looksLike(name string) (string, error) {
	in, err := os.Open(name)
	if err != nil {
		return "", usagef("%w", err)
	}
	defer in.Close()
	if info, err := in.Stat(); err == nil && info.IsDir() {
		return "", usagef("%s is a directory; expected files, such as %s", name, filepath.Join(name, "*.xml"))
	}
	return reports.Like(in), nil
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
		if !slices.ContainsFunc(set.Reports, func(r *reports.Report) bool { return r.Type == reports.CodeCoverage }) {
			fmt.Fprintln(a.Stderr, "None of the reports is of coverage.")
		}
		return reports.WriteLCOV(a.Stdout, set.Reports)
	}
	terminal := a.isTerminal()
	t := console.NewText(a.Stdout, console.Options{
		Color: a.color(terminal), Terminal: terminal, Verbose: f.verbose,
		Links: a.links(terminal), Source: f.shownSource(), SourceDir: filepath.ToSlash(f.sourceDir()),
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

// sourceDir is the source's directory, absolute, with links resolved.
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

// earlier has the reports of a project's builds before one of a number, the newest first.
func (s *store) earlier(project string, number int) iter.Seq[*reports.Set] {
	return func(yield func(*reports.Set) bool) {
		entries, _ := os.ReadDir(filepath.Join(s.dir, "builds"))
		slices.SortFunc(entries, func(a, b os.DirEntry) int { return buildNumber(b.Name()) - buildNumber(a.Name()) })
		for _, e := range entries {
			if n := buildNumber(e.Name()); n <= 0 || n >= number {
				continue
			}
			set, err := reports.ReadSet(filepath.Join(s.dir, "builds", e.Name()))
			if err == nil && set.Project == project && len(set.Reports) > 0 && !yield(set) {
				return
			}
		}
	}
}

// files looks at the source's files beside the build, before its first command: who edits
// one meanwhile has changed the next build's source, not this one's.
func (g *found) files(ctx context.Context) func() ([]string, string) {
	var names []string
	var print string
	done := make(chan struct{})
	go func() {
		defer close(done)
		names, print = g.source.Print(ctx)
	}()
	return func() ([]string, string) {
		<-done
		return names, print
	}
}
