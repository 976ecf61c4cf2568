package secret

import (
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/cmd/clitest"
)

func TestNewCmd_Flags(t *testing.T) {
	t.Parallel()
	type view struct {
		dir, file, profile, set string
		aws, credentials        bool
	}
	see := func(o *Options) any {
		return view{
			o.Source.Dir, o.Secrets.File, o.Secrets.Profile, strings.Join(o.Variables.Set, " "),
			o.Secrets.AWS, o.Secrets.Credentials,
		}
	}
	clitest.Flags(t, NewCmd, see, []clitest.Case{
		{Args: "list", Want: view{dir: "."}},
		{Args: "list -C /src --secrets s.yml", Want: view{dir: "/src", file: "s.yml"}},
		{Args: "check --aws -e A=1 -e B=2", Want: view{dir: ".", set: "A=1 B=2", aws: true}},
		{Args: "check --profile dev", Want: view{dir: ".", profile: "dev"}},
		{Args: "check --aws-credentials", Want: view{dir: ".", credentials: true}},
		{Args: "init --secrets s.yml", Want: view{dir: ".", file: "s.yml"}},
		{Args: "lst", Err: "unknown command lst; did you mean ls?"},
		{Args: "list x", Err: "takes no arguments"},
		{Args: "check -i node:22", Err: "unknown flag -i"},
		{Args: "check --aws=maybe", Err: "--aws maybe: use true or false"},
	})
}
