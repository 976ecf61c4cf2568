package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/reports"
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
		Use: "report [BUILD | FILE...]", Short: "Show test and coverage results of a build or of report files",
		Long: "Show test and coverage results of the latest build, of build number BUILD, or of\n" +
			"the given report files. The format of a file is detected unless --file-format is set.",
		Annotations: notes("Exit codes: 0 success, even if tests failed, 2 no such build or file, 3 unreadable file."),
		Example:     "  buildlocal report\n  buildlocal report 7 --format junit\n  buildlocal report --html\n  buildlocal report target/surefire-reports/*.xml --file-format JUNITXML",
	}
	c.Flags().SortFlags = false
	addSomeRunFlags(c, f.runFlags, "source", "output", "full-reports", "verbose")
	c.Flags().StringVar(&f.fileFormat, "file-format", "", "read files as `FORMAT`, named as in a buildspec")
	c.Flags().StringVar(&f.format, "format", "text", "print results as `FORMAT`: text, json, junit, html or lcov")
	c.Flags().StringVar(&f.html, "html", "", "write an HTML page to `FILE`, given as --html=FILE (auto: report.html of the build, or in the current directory)")
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
		return usagef("--html cannot be combined with --format %s", f.format)
	case f.html == pageFlag && slices.ContainsFunc(args, func(name string) bool { return filepath.Ext(name) == ".html" }):
		return usagef("--html: write the file name after =, as in --html=page.html")
	case f.fileFormat != "" && len(args) == 0:
		return usagef("--file-format requires files; see %s --help for an example", c.CommandPath())
	}
	return nil
}

// report shows the reports of a build or of files.
func (a *App) report(ctx context.Context, f *reportFlags, args []string) error {
	s, err := openStore(ctx, f.runFlags)
	if err != nil {
		return err
	}
	if f.fileFormat != "" || len(args) > 1 {
		return a.reportFiles(ctx, f, args)
	}
	name := append(args, "latest")[0]
	b, err := findBuild(s, name)
	if err == nil {
		return a.reportBuild(f, s, b)
	}
	if _, missing := os.Stat(name); len(args) == 1 && missing == nil {
		return a.reportFiles(ctx, f, args)
	}
	if _, notNumber := strconv.Atoi(strings.TrimPrefix(name, "#")); len(args) == 1 && notNumber != nil {
		return usagef("no file or build named %s", name)
	}
	return err
}

// reportBuild shows what a build left.
func (a *App) reportBuild(f *reportFlags, s *builds.Store, b builds.Build) error {
	set, err := reports.ReadSet(b.Path)
	if err != nil {
		return err
	}
	if f.format == "lcov" || f.format == "html" || f.html != "" {
		detail(set, b.Path)
	}
	if f.html != "" || f.format == "html" {
		return a.showPage(f, pageOf{f.runFlags, s, &b, set}, filepath.Join(b.Path, console.PageName))
	}
	if len(set.Reports) == 0 && f.format == "text" {
		_, err := fmt.Fprintf(a.Stdout, "Build %s has no reports.\n", b.Name)
		return err
	}
	if f.format == "text" {
		if err := a.headline(b); err != nil {
			return err
		}
	}
	return a.showReports(f, set)
}

// headline says of which build the reports are, and where its page is.
func (a *App) headline(b builds.Build) error {
	r, err := readRecord(b)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Stdout, "%s #%d %s, %s\n", r.Project, r.Number, r.Status, shownPath(filepath.Join(b.Path, console.PageName)))
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
				files = append(files, reports.Source{Path: name, Open: func() (io.ReadCloser, error) { return regular.OpenIn(root, name) }})
			}
			return nil
		})
		r.AddDetail(reports.Read(r.Group, r.Format, files, reports.ServiceLimits()))
		_ = root.Close()
	}
}

// showPage writes the page to standard output, or into a file, and says which.
func (a *App) showPage(f *reportFlags, p pageOf, usual string) error {
	file := f.html
	switch file {
	case "", "-":
		return p.write(a.raw.out, true)
	case pageFlag:
		file = usual
	}
	if err := p.file(file); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.Stdout, file)
	return err
}

// showReports writes reports to standard output, as --format says.
func (a *App) showReports(f *reportFlags, set *reports.Set) error {
	switch f.format {
	case "json":
		text, err := json.MarshalIndent(set, "", "  ")
		if err != nil {
			return err
		}
		_, err = io.WriteString(a.raw.out, diag.EscapeJSON(string(text))+"\n")
		return err
	case "junit":
		return reports.WriteJUnit(a.raw.out, set.Reports)
	case "lcov":
		if !slices.ContainsFunc(set.Reports, func(r *reports.Report) bool { return r.Type == reports.CodeCoverage }) {
			fmt.Fprintln(a.Stderr, "No coverage reports.")
		}
		return reports.WriteLCOV(a.raw.out, set.Reports)
	}
	terminal := a.isTerminal()
	t := console.NewText(a.raw.out, console.Options{
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
