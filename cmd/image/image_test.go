package image

import (
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/clitest"
)

func TestNewCmd_Flags(t *testing.T) {
	t.Parallel()
	// want returns the defaults with changes.
	want := func(change func(o *Options)) Options {
		o := Options{Engine: "auto", Format: "text", Names: []string{}, UnusedFor: 30 * 24 * time.Hour}
		change(&o)
		return o
	}
	clitest.Flags(t, NewCmd, func(o *Options) any { return *o }, []clitest.Case{
		{Args: "", Want: want(func(*Options) {})},
		{Args: "ls --full --engine docker", Want: want(func(o *Options) { o.Full, o.Engine = true, "docker" })},
		{Args: "ls --format json", Want: want(func(o *Options) { o.Format = "json" })},
		{Args: "inspect node:22", Want: want(func(o *Options) { o.Names = []string{"node:22"} })},
		{Args: "pull a tar:b", Want: want(func(o *Options) { o.Names = []string{"a", "tar:b"} })},
		{Args: "rm --engine docker a", Want: want(func(o *Options) { o.Names, o.Engine = []string{"a"}, "docker" })},
		{Args: "prune --unused-for 7d", Want: want(func(o *Options) { o.UnusedFor = 7 * 24 * time.Hour })},
		{Args: "prune --unused-for 90m", Want: want(func(o *Options) { o.UnusedFor = 90 * time.Minute })},
		{Args: "prune --all", Want: want(func(o *Options) { o.UnusedFor = 0 })},
		{Args: "build standard:7.0 --from /c --tag x", Want: want(func(o *Options) {
			o.Names, o.From, o.Tag = []string{"standard:7.0"}, "/c", "x"
		})},

		{Args: "--engine podman", Err: "--engine podman: use auto, docker or sandbox"},
		{Args: "--format json", Want: want(func(o *Options) { o.Format = "json" })},
		{Args: "ls --format yaml", Err: "--format yaml: use text or json"},
		{Args: "inspect", Err: "requires the name of one image, got 0"},
		{Args: "inspect a b", Err: "requires the name of one image, got 2"},
		{Args: "pull", Err: "requires the name of an image"},
		{Args: "rm", Err: "requires the name of an image"},
		{Args: "prune a", Err: "takes no arguments"},
		{Args: "prune --engine docker", Err: "use docker image prune"},
		{Args: "prune --unused-for -1h", Err: "--unused-for -1h0m0s: must not be negative"},
		{Args: "prune --unused-for soon", Err: "--unused-for soon: not a duration"},
		{Args: "prune --all --unused-for 1h", Err: "--unused-for and --all cannot be combined"},
		{Args: "build a b", Err: "requires the name of one image"},
		{Args: "build a --engine sandbox", Err: "requires Docker"},
	})
}

func TestNewSlim_Flags(t *testing.T) {
	t.Parallel()
	type view struct{ image, dir, dockerfile string }
	slim := func(a *cli.App, runF cli.RunF[SlimOptions]) *cobra.Command { return newSlim(a, &Options{}, runF) }
	clitest.Flags(t, slim, func(o *SlimOptions) any { return view{o.Image.Name, o.Source.Dir, o.Dockerfile} },
		[]clitest.Case{
			{Args: "", Want: view{dir: "."}},
			{Args: "-i node:22 -o Dockerfile", Want: view{"node:22", ".", "Dockerfile"}},
			{Args: "-i", Err: "-i needs a value: -i IMAGE"},
			{Args: "x", Err: "takes no arguments"},
			{Args: "--engine docker", Err: "unknown flag --engine"}, // a flag of the group
		})
}
