package repro

import (
	"context"
	"fmt"
	"testing"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/clitest"
	"github.com/buildlocal/buildlocal/cmd/settings"
)

func TestNewCmd_Flags(t *testing.T) {
	t.Parallel()
	run := func(_ *cli.App, do func(context.Context, *Build) error) *cobra.Command {
		b := &Build{Flags: &settings.Flags{}}
		c := &cobra.Command{RunE: func(c *cobra.Command, _ []string) error { return do(c.Context(), b) }}
		b.Add(c)
		return c
	}
	newCmd := func(a *cli.App, runF cli.RunF[Options]) *cobra.Command { return NewCmd(a, run, runF) }
	view := func(o *Options) any {
		return fmt.Sprint(o.Of, o.Log, o.ID, o.Here, o.Check, o.WithCache, o.SameIdentity, o.Image.Name)
	}
	clitest.Flags(t, newCmd, view, []clitest.Case{
		{Args: "build.json", Want: fmt.Sprint("build.json", "", "", false, false, false, false, "")},
		{Args: "- --log l --id x --here --check --with-cache --same-identity -i node",
			Want: fmt.Sprint("-", "l", "x", true, true, true, true, "node")},
		{Args: "", Err: "takes one record of a build, got 0"},
		{Args: "a b", Err: "got 2"},
	})
}
