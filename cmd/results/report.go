package results

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
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/reports"
)

// reportFlags are the flags of report.
type reportFlags struct {
	settings.Flags
	fileFormat string
	format     string
	html       string
}

// pageFlag is the value of --html without a value: the page is written to its default
// place.
const pageFlag = "auto"

// NewReport returns the command report.
func NewReport(app *cli.App) *cobra.Command {
	a := commands{app}
	f := &reportFlags{}
	c := &cobra.Command{
		Use: "report [BUILD | FILE...]", Short: "Show test and coverage results of a build or of report files",
		Long: "Show test and coverage results of the latest build, of build number BUILD, or of\n" +
			"the given report files. The format of a file is detected unless --file-format is set.",
		Annotations: cli.Notes("Exit codes: 0 success, even if tests failed, 2 no such build or file, 3 unreadable file."),
		Example: "  buildlocal report\n  buildlocal report 7 --format junit\n  buildlocal report --html\n  " +
			"buildlocal report target/surefire-reports/*.xml --file-format JUNITXML",
	}
	c.Flags().SortFlags = false
	f.AddSome(c, "source", "output", "full-reports", "verbose")
	c.Flags().StringVar(&f.fileFormat, "file-format", "", "read files as `FORMAT`, named as in a buildspec")
	c.Flags().StringVar(&f.format, "format", "text", "print results as `FORMAT`: text, json, junit, html or lcov")
	c.Flags().
		StringVar(&f.html, "html", "", "write an HTML page to `FILE`, given as --html=FILE (auto: report.html of the "+
			"build, or in the current directory)")
	c.Flags().Lookup("html").NoOptDefVal = pageFlag
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.Settle(c.Context(), a.App, c); err != nil {
			return err
		}
		if err := f.checkReport(c, args); err != nil {
			return err
		}
		return a.report(c.Context(), f, args)
	}
	return c
}

// checkReport returns an error for contradictory flags and arguments.
func (f *reportFlags) checkReport(c *cobra.Command, args []string) error {
	switch {
	case !slices.Contains([]string{"text", "json", "junit", "html", "lcov"}, f.format):
		return cli.Usagef("--format: unknown format %q (expected text, json, junit, html or lcov)", f.format)
	case f.html != "" && c.Flags().Changed("format"):
		return cli.Usagef("--html cannot be combined with --format %s", f.format)
	case f.html == pageFlag && slices.ContainsFunc(args, func(name string) bool { return filepath.Ext(name) == ".html" }):
		return cli.Usagef("--html: write the file name after =, as in --html=page.html")
	case f.fileFormat != "" && len(args) == 0:
		return cli.Usagef("--file-format requires files; see %s --help for an example", c.CommandPath())
	}
	return nil
}

// report shows the reports of a build or of files.
func (a commands) report(ctx context.Context, f *reportFlags, args []string) error {
	s, err := local.OpenBuilds(ctx, &f.Request)
	if err != nil {
		return err
	}
	if f.fileFormat != "" || len(args) > 1 {
		return a.reportFiles(ctx, f, args)
	}
	name := append(args, "latest")[0]
	b, err := local.FindBuild(s, name)
	if err == nil {
		return a.reportBuild(f, s, b)
	}
	if _, missing := os.Stat(name); len(args) == 1 && missing == nil {
		return a.reportFiles(ctx, f, args)
	}
	if _, notNumber := strconv.Atoi(strings.TrimPrefix(name, "#")); len(args) == 1 && notNumber != nil {
		return cli.Usagef("no file or build named %s", name)
	}
	return err
}

// reportBuild shows the reports of a build.
func (a commands) reportBuild(f *reportFlags, s *builds.Store, b builds.Build) error {
	set, err := reports.ReadSet(b.Path)
	if err != nil {
		return err
	}
	if f.format == "lcov" || f.format == "html" || f.html != "" {
		local.AddCoverageDetail(set, b.Path)
	}
	if f.html != "" || f.format == "html" {
		return a.showPage(
			f,
			local.Page{Store: s, Build: &b, Reports: set, SourceDir: f.SourceDir()},
			filepath.Join(b.Path, console.PageName),
		)
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

// headline prints the build that the reports belong to, and the path of its page.
func (a commands) headline(b builds.Build) error {
	r, err := local.ReadRecord(b)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(
		a.Stdout,
		"%s #%d %s, %s\n",
		r.Project,
		r.Number,
		r.Status,
		local.ShownPath(filepath.Join(b.Path, console.PageName)),
	)
	return err
}

// showPage writes the page to standard output, or to a file and prints its name.
func (a commands) showPage(f *reportFlags, p local.Page, usual string) error {
	file := f.html
	switch file {
	case "", "-":
		return p.Write(a.Raw.Out, true)
	case pageFlag:
		file = usual
	}
	if err := p.WriteFile(file); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.Stdout, file)
	return err
}

// showReports writes reports to standard output in the chosen format.
func (a commands) showReports(f *reportFlags, set *reports.Set) error {
	switch f.format {
	case "json":
		text, err := json.MarshalIndent(set, "", "  ")
		if err != nil {
			return err
		}
		_, err = io.WriteString(a.Raw.Out, diag.EscapeJSON(string(text))+"\n")
		return err
	case "junit":
		return reports.WriteJUnit(a.Raw.Out, set.Reports)
	case "lcov":
		if !slices.ContainsFunc(set.Reports, func(r *reports.Report) bool { return r.Type == reports.CodeCoverage }) {
			fmt.Fprintln(a.Stderr, "No coverage reports.")
		}
		return reports.WriteLCOV(a.Raw.Out, set.Reports)
	}
	terminal := a.IsTerminal()
	t := console.NewText(a.Raw.Out, console.Options{
		Color: a.Color(terminal), Terminal: terminal, Verbose: f.Verbose,
		Links: a.Links(terminal), Source: f.ShownSource(), SourceDir: filepath.ToSlash(f.SourceDir()),
	})
	t.Reports(set)
	return t.Err()
}
