package validate

import (
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/cmd/clitest"
)

func TestNewCmd_Flags(t *testing.T) {
	t.Parallel()
	type view struct {
		names, format      string
		fix, diff, strict  bool
		sourceOnTheCommand bool
	}
	see := func(o *Options) any {
		return view{strings.Join(o.Names, " "), o.Format, o.Fix, o.Diff, o.Checks.Strict, o.sourceGiven}
	}
	clitest.Flags(t, NewCmd, see, []clitest.Case{
		{Args: "", Want: view{format: "text"}},
		{Args: "a.yml b.yml --strict", Want: view{names: "a.yml b.yml", format: "text", strict: true}},
		{Args: "--fix -C /src", Want: view{format: "text", fix: true, sourceOnTheCommand: true}},
		{Args: "--diff -", Want: view{names: "-", format: "text", diff: true}},
		{Args: "--format sarif", Want: view{format: "sarif"}},
		{Args: "--fix -", Err: "--fix cannot change standard input"},
		{Args: "--fix --diff", Err: "--diff and --fix cannot be combined"},
		{Args: "--diff --format json", Err: "--diff and --format json cannot be combined"},
		{Args: "--format xml", Err: "--format xml: use text, service"},
		{Args: "--keep", Err: "unknown flag --keep"},
	})
}
