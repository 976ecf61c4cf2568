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
		{Args: "--format xml", Err: "--format xml: use text or json"},
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
		{Args: "--format sarif", Err: "--format sarif: use text, json, junit, html or lcov"},
		{Args: "--html --format html", Err: "--html and --format html cannot be combined"},
		{Args: "--html page.html", Err: "--html: write the file name after ="},
		{Args: "--file-format JUNITXML", Err: "--file-format requires files"},
	})
}

func TestNewBuilds_Flags(t *testing.T) {
	t.Parallel()
	see := func(o *BuildsOptions) any { return o.Source.Dir + " " + o.Output.Dir + " " + o.Format }
	clitest.Flags(t, NewBuilds, see, []clitest.Case{
		{Args: "", Want: ".  text"},
		{Args: "ls -C app -o out --format json", Want: "app out json"},
		{Args: "list", Want: ".  text"},
		{Args: "12", Err: "unknown command 12"},
		{Args: "--format service", Err: "--format service: use text or json"},
	})
}

func TestNewLogs_Flags(t *testing.T) {
	t.Parallel()
	type view struct {
		build, place, format string
		follow               bool
	}
	see := func(o *LogsOptions) any { return view{o.Build, o.Place, o.Format, o.Follow} }
	clitest.Flags(t, NewLogs, see, []clitest.Case{
		{Args: "", Want: view{format: "text"}},
		{Args: "12", Want: view{build: "12", format: "text"}},
		{Args: "12 BUILD:2", Want: view{build: "12", place: "build:2", format: "text"}},
		{Args: "build:finally:1 -f", Want: view{place: "build:finally:1", format: "text", follow: true}},
		{Args: "12 image --format service", Want: view{build: "12", place: "image", format: "service"}},
		{Args: "12 13", Err: "takes a build and a place, such as 12 build:2; got \"13\""},
		{Args: "build:1 12", Err: "takes a build and a place"},
		{Args: "--format json", Err: "logs: no --format json; use text or service"},
		{Args: "--format sarif", Err: "--format sarif: use text or service"},
		{Args: "--format service -v", Err: "--format service and --verbose cannot be combined"},
	})
}

func TestNewOpen_Flags(t *testing.T) {
	t.Parallel()
	clitest.Flags(t, NewOpen, func(o *OpenOptions) any { return o.Build }, []clitest.Case{
		{Args: "", Want: "latest"},
		{Args: "12", Want: "12"},
		{Args: "12 13", Err: "takes one build"},
		{Args: "--format json", Err: "unknown flag --format"},
	})
}
