package explain

import (
	"testing"

	"github.com/buildlocal/buildlocal/cmd/clitest"
)

func TestNewCmd_Flags(t *testing.T) {
	t.Parallel()
	clitest.Flags(t, NewCmd, func(o *Options) any { return o.Build + " " + o.Format }, []clitest.Case{
		{Args: "", Want: "latest text"},
		{Args: "12 --format markdown", Want: "12 markdown"},
		{Args: "1 2", Err: "takes one build"},
		{Args: "--format yaml", Err: "use text, markdown or json"},
	})
}
