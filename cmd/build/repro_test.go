package build

import (
	"fmt"
	"testing"

	"github.com/buildlocal/buildlocal/cmd/clitest"
)

func TestNewRepro_Flags(t *testing.T) {
	t.Parallel()
	view := func(o *ReproOptions) any {
		return fmt.Sprint(o.Of, o.Log, o.ID, o.Here, o.Check, o.WithCache, o.SameIdentity, o.Image.Name)
	}
	clitest.Flags(t, NewRepro, view, []clitest.Case{
		{Args: "build.json", Want: fmt.Sprint("build.json", "", "", false, false, false, false, "")},
		{Args: "- --log l --id x --here --check --with-cache --same-identity -i node",
			Want: fmt.Sprint("-", "l", "x", true, true, true, true, "node")},
		{Args: "", Err: "takes one record of a build, got 0"},
		{Args: "a b", Err: "got 2"},
	})
}
