package results

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/help"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/reports"
)

// ReportOptions are the flags and arguments of report.
type ReportOptions struct {
	settings.Flags          // those of run about the output directory and reports
	FileFormat     string   // of the given files, named as in a buildspec; "" to detect it
	Format         string   // text, json, junit, html or lcov
	HTML           string   // --html: a file, - for the standard output, pageFlag, or ""
	Args           []string // a build, or files
}

// pageFlag is the value of --html without a value: the page is written to its default
// place.
const pageFlag = "auto"

// NewReport returns the command report.
func NewReport(a *cli.App, runF cli.RunF[ReportOptions]) *cobra.Command {
	o := &ReportOptions{}
	c := &cobra.Command{
		Use: "report [BUILD | FILE...]", Short: "Show test and coverage results of a build or of report files",
		Long: "Show test and coverage results of the latest build, of build number BUILD, or of\n" +
			"the given report files. The format of a file is detected unless --file-format is set.",
		Annotations: help.Notes("Exit codes: 0 success, even if tests failed, 2 no such build or file, 3 unreadable file."),
		Example: "  buildlocal report\n  buildlocal report 7 --format junit\n  buildlocal report --html\n  " +
			"buildlocal report target/surefire-reports/*.xml --file-format JUNITXML",
	}
	c.Flags().SortFlags = false
	o.AddSome(c, "source", "source-root", "output", "full-reports", "verbose", "color")
	cli.ReadsOutput(c)
	// The agent of a build has nothing to do with reports; there the flag is about failures.
	c.Flags().Lookup("verbose").Usage = "show all failures, with their whole messages, and slow tests"
	c.Flags().StringVar(&o.FileFormat, "file-format", "", "read files as `FORMAT`, named as in a buildspec")
	c.Flags().StringVar(&o.Format, "format", "text", "print results as `FORMAT`: text, json, junit, html or lcov")
	c.Flags().StringVar(&o.HTML, "html", "",
		"write an HTML page to `FILE`, given as --html=FILE (auto: report.html of the build, or in the current directory)")
	c.Flags().Lookup("html").NoOptDefVal = pageFlag // --html alone
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := o.Settle(c.Context(), a, c); err != nil {
			return err
		}
		o.Args = args
		if err := o.check(c); err != nil {
			return err
		}
		return runF.Or(a, report)(c.Context(), o)
	}
	return c
}

// check returns an error for contradictory flags and arguments.
func (o *ReportOptions) check(c *cobra.Command) error {
	isPage := func(name string) bool { return filepath.Ext(name) == ".html" }
	if err := cli.OneOf("format", o.Format, "text", "json", "junit", "html", "lcov"); err != nil {
		return err
	}
	switch {
	case o.HTML != "" && c.Flags().Changed("format"):
		return cli.Usagef("--html and --format %s cannot be combined", o.Format)
	case o.HTML == pageFlag && slices.ContainsFunc(o.Args, isPage):
		// pflag takes the value of an optional flag only after =, so "--html page.html" would
		// read page.html as a report.
		return cli.Usagef("--html: write the file name after =, as in --html=page.html")
	case o.FileFormat != "" && len(o.Args) == 0:
		return cli.Usagef("--file-format requires files; see %s --help for an example", c.CommandPath())
	}
	return nil
}

// wantsPage reports whether the results are shown as an HTML page.
func (o *ReportOptions) wantsPage() bool { return o.HTML != "" || o.Format == "html" }

// report shows the reports of a build or of files. A single argument may be either: a build
// takes precedence, because builds have numbers, and a file of that name can be given as
// ./7.
func report(ctx context.Context, a *cli.App, o *ReportOptions) error {
	s, err := local.OpenBuilds(ctx, &o.Request)
	if err != nil {
		return err
	}
	if o.FileFormat != "" || len(o.Args) > 1 { // these are only possible with files
		return reportFiles(ctx, a, o)
	}
	name := append(o.Args, "latest")[0]
	b, err := local.FindBuild(s, name)
	if err == nil {
		return reportBuild(a, o, s, b)
	}
	if _, missing := os.Stat(name); len(o.Args) == 1 && missing == nil {
		return reportFiles(ctx, a, o)
	}
	// The error of FindBuild lists the builds, which is no help for a misspelt file.
	if _, notNumber := strconv.Atoi(strings.TrimPrefix(name, "#")); len(o.Args) == 1 && notNumber != nil {
		return cli.Usagef("no file or build named %s", name)
	}
	return err
}

// reportBuild shows the reports of a build as the build stored them, with the comparison to
// earlier builds of that time.
func reportBuild(a *cli.App, o *ReportOptions, s *builds.Store, b builds.Build) error {
	set, err := reports.ReadSet(b.Path)
	if err != nil {
		return err
	}
	// The stored set has no covered lines. Parsing them again takes time for large projects.
	if o.Format == "lcov" || o.wantsPage() {
		local.AddCoverageDetail(set, b.Path)
	}
	if o.wantsPage() {
		return showPage(
			a,
			o.HTML,
			local.Page{Store: s, Build: &b, Reports: set, SourceDir: o.SourceDir()},
			filepath.Join(b.Path, console.PageName),
		)
	}
	// Other formats write an empty document, which programs can read.
	if len(set.Reports) == 0 && o.Format == "text" {
		_, err := fmt.Fprintf(a.Stdout, "Build %s has no reports.\n", b.Name)
		return err
	}
	if o.Format == "text" {
		if err := headline(a, b); err != nil {
			return err
		}
	}
	return showReports(a, o, set)
}

// headline prints the build that the reports belong to, and the path of its page. Without a
// number on the command line it is not obvious which build was the latest.
func headline(a *cli.App, b builds.Build) error {
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

// showPage writes the page to standard output, or to a file and prints its name. The file
// is a value of --html; usual is the file for --html without a value.
func showPage(a *cli.App, file string, p local.Page, usual string) error {
	switch file {
	case "", "-": // "" is --format html; the page goes to a file or another program
		return p.Write(a.Raw.Out, true)
	case pageFlag:
		file = usual
	}
	// The name is printed, so that a script can open it.
	if err := p.WriteFile(file); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.Stdout, file)
	return err
}

// showReports writes reports to standard output in the chosen format. Names and messages in
// them come from test programs; every format escapes their control characters in its way.
func showReports(a *cli.App, o *ReportOptions, set *reports.Set) error {
	switch o.Format {
	case "json":
		return a.WriteJSON(set)
	case "junit": // one file for a CI system, whatever formats the reports had
		return reports.WriteJUnit(a.Raw.Out, set.Reports)
	case "lcov":
		if !slices.ContainsFunc(set.Reports, func(r *reports.Report) bool { return r.Type == reports.CodeCoverage }) {
			fmt.Fprintln(a.Stderr, "No coverage reports.") // an empty tracefile would look like an error
		}
		return reports.WriteLCOV(a.Raw.Out, set.Reports)
	}
	// Like the end of a build, so a failed test looks the same in both.
	options := a.ConsoleOptions()
	options.Verbose, options.Source, options.SourceDir = o.Verbose, o.ShownSource(), filepath.ToSlash(o.SourceDir())
	t := console.NewText(a.Raw.Out, options)
	t.Reports(set)
	return t.Err()
}
