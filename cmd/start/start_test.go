package start

import (
	"testing"
	"testing/fstest"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/cmd/clitest"
	"github.com/buildlocal/buildlocal/lint"
	"github.com/buildlocal/buildlocal/starter"
)

func TestNewInit_Flags(t *testing.T) {
	t.Parallel()
	clitest.Flags(t, NewInit, func(o *InitOptions) any { return *o }, []clitest.Case{
		{Args: "", Want: InitOptions{Dir: ".", Format: "text"}},
		{Args: "app --format json", Want: InitOptions{Dir: "app", Format: "json"}},
		{Args: "a b", Err: "takes one directory"},
		{Args: "--format service", Err: "--format service: use text or json"},
	})
}

// TestBuildspec_HasNoProblems makes sure that init never writes a buildspec that validate
// complains about.
func TestBuildspec_HasNoProblems(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"package.json", "go.mod", "pom.xml", "build.gradle", "requirements.txt", "Cargo.toml", "Gemfile", "composer.json",
		"a.csproj", "none",
	} {
		text := starter.Buildspec(detect(fstest.MapFS{name: {Data: []byte("{}")}}))
		spec, problems := buildspec.Parse("buildspec.yml", []byte(text))
		if problems = lint.Check(lint.Input{Spec: spec}, problems, nil); len(problems) > 0 {
			t.Errorf("%s: %v\n%s", name, problems, text)
		}
	}
}
