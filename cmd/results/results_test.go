package results

import (
	"testing"

	"github.com/buildlocal/buildlocal/cmd/clitest"
)

func TestNewArtifacts_Flags(t *testing.T) {
	t.Parallel()
	type view struct {
		diff        bool
		builds, out string
	}
	see := func(o *ArtifactsOptions) any {
		v := view{o.Diff, "", o.Output.Dir}
		for _, b := range o.Builds {
			v.builds += b + " "
		}
		return v
	}
	clitest.Flags(t, NewArtifacts, see, []clitest.Case{
		{Args: "", Want: view{builds: "latest "}},
		{Args: "7 -o out", Want: view{builds: "7 ", out: "out"}},
		{Args: "--diff 6 7", Want: view{diff: true, builds: "6 7 "}},
		{Args: "6 7", Err: "takes one build"},
		{Args: "--diff", Err: "--diff requires two builds, got 0"},
		{Args: "--diff 6", Err: "--diff requires two builds, got 1"},
		{Args: "--diff 6 7 8", Err: "--diff requires two builds, got 3"},
	})
}

func TestNewReport_Flags(t *testing.T) {
	t.Parallel()
	type view struct {
		fileFormat, format, html string
		args                     int
		full                     bool
	}
	see := func(o *ReportOptions) any {
		return view{o.FileFormat, o.Format, o.HTML, len(o.Args), o.Output.FullReports}
	}
	clitest.Flags(t, NewReport, see, []clitest.Case{
		{Args: "", Want: view{format: "text"}},
		{Args: "7 --format junit --full-reports", Want: view{format: "junit", args: 1, full: true}},
		{Args: "a.xml b.xml --file-format JUNITXML", Want: view{fileFormat: "JUNITXML", format: "text", args: 2}},
		{Args: "--html", Want: view{format: "text", html: pageFlag}},
		{Args: "--html=page.html", Want: view{format: "text", html: "page.html"}},
		{Args: "--format html", Want: view{format: "html"}},
		{Args: "--format sarif", Err: `--format: invalid value "sarif"; expected text, json`},
		{Args: "--html --format html", Err: "--html cannot be combined with --format html"},
		{Args: "--html page.html", Err: "--html: write the file name after ="},
		{Args: "--file-format JUNITXML", Err: "--file-format requires files"},
	})
}
