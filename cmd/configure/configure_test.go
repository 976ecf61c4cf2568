package configure

import (
	"testing"

	"github.com/buildlocal/buildlocal/cmd/clitest"
	"github.com/buildlocal/buildlocal/local"
)

func TestNewTrust_Flags(t *testing.T) {
	t.Parallel()
	clitest.Flags(t, NewTrust, func(o *TrustOptions) any { return *o }, []clitest.Case{
		{Args: "", Want: TrustOptions{Format: "text", Dir: "."}},
		{Args: "../service -y", Want: TrustOptions{Format: "text", Dir: "../service", Yes: true}},
		{Args: "--yes", Want: TrustOptions{Format: "text", Dir: ".", Yes: true}},
		{Args: "ls", Want: TrustOptions{Format: "text", Dir: "."}},
		{Args: "rm", Want: TrustOptions{Format: "text", Dir: "."}},
		{Args: "rm ../service", Want: TrustOptions{Format: "text", Dir: "../service"}},
		{Args: "a b", Err: "takes one directory"},
		{Args: "rm a b", Err: "takes one directory"},
		{Args: "ls x", Err: "takes no arguments"},
		{Args: "ls --yes", Err: "unknown flag --yes"},
	})
}

func TestNewConfig_Flags(t *testing.T) {
	t.Parallel()
	type view struct {
		image   string
		pull    string
		engine  local.EngineKind
		origins int // flags on the command line
	}
	see := func(o *ConfigOptions) any {
		v := view{image: o.Image.Name, pull: o.Image.Pull, engine: o.Engine.Kind}
		for _, origin := range o.Origins {
			if origin == local.FromCaller {
				v.origins++
			}
		}
		return v
	}
	clitest.Flags(t, NewConfig, see, []clitest.Case{
		{Args: "", Want: view{"", local.DefaultPull, local.EngineAuto, 0}},
		{Args: "-i node:22 --pull never", Want: view{"node:22", "never", local.EngineAuto, 2}},
		{Args: "--engine host", Want: view{"", local.DefaultPull, local.EngineHost, 1}},
		{Args: "--pull nver", Err: "--pull nver: did you mean never?"},
		{Args: "--timeout x", Err: "--timeout x: not a duration"},
		{Args: "--quiet --verbose", Err: "--quiet and --verbose cannot be combined"},
		{Args: "x", Err: "takes no arguments"},
	})
}
