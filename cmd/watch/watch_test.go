package watch

import (
	"context"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/clitest"
	"github.com/buildlocal/buildlocal/local"
)

func TestNewCmd_Flags(t *testing.T) {
	t.Parallel()
	type view struct {
		notify           string
		noRestart, clear bool
		image            string
	}
	newCmd := func(a *cli.App, runF cli.RunF[Options]) *cobra.Command { return NewCmd(a, Builder{}, runF) }
	dir := t.TempDir()
	clitest.Flags(t, newCmd, func(o *Options) any { return view{o.Notify, o.NoRestart, o.Clear, o.Image.Name} },
		[]clitest.Case{
			{Args: dir, Want: view{notify: "off"}},
			{Args: "-C " + dir + " -i node:22 --no-restart --clear --notify message",
				Want: view{"message", true, true, "node:22"}},
			{Args: "-C " + dir + " --notify loud --format xml", Err: "--notify loud: use off, bell or message"},
			{Args: "-C " + dir + " --notify loud --format xml", Err: "--format xml"},
		})
}

// TestSettle_TakesTheCommandLineAgain changes the file with settings after the first build.
func TestSettle_TakesTheCommandLineAgain(t *testing.T) {
	t.Parallel()
	dir, region := t.TempDir(), ""
	a := &cli.App{}
	a.LookupEnv = func(name string) (string, bool) { return region, name == "BUILDLOCAL_REGION" }
	var got *Options
	c := NewCmd(a, Builder{}, func(_ context.Context, o *Options) error { got = o; return nil })
	c.SetContext(t.Context())
	c.SetArgs([]string{"-C", dir, "-e", "A=1", "-e", "B=x,y", "--timeout", "2", "--keep-builds", "7", "--strict",
		"--clear"})
	if err := c.Execute(); err != nil {
		t.Fatal(err)
	}
	region = "eu-west-1"
	f, err := got.settle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if f.Source.Dir != dir || strings.Join(f.Variables.Set, " ") != "A=1 B=x,y" || f.Engine.Timeout.Minutes() != 2 ||
		f.Output.KeepBuilds != 7 || !f.Checks.Strict || f.Variables.Region != "eu-west-1" {
		t.Errorf("got %+v", f.Request)
	}
	if f.Origins["env"] != local.FromCaller || f.Origins["region"] != local.FromVariable {
		t.Errorf("origins: %v", f.Origins)
	}
}

func TestScreen_CountsFiles(t *testing.T) {
	t.Parallel()
	for want, files := range map[string]string{
		"a": "a", "a and b": "a b", "a, b and c": "a b c", "a, b, c and 1 other file": "a b c d",
	} {
		if got := someOf(strings.Fields(files)); got != want {
			t.Errorf("got %q; want %q", got, want)
		}
	}
}

func TestActionOf_Keys(t *testing.T) {
	t.Parallel()
	for key, want := range map[byte]action{
		'q': quit, 3: quit, 4: quit, 'r': rerun, '\r': scratch, 'F': scratch, 'd': prompt, 'x': first, 27: first,
	} {
		if got := actionOf(key, true); got != want {
			t.Errorf("%q: got %d; want %d", key, got, want)
		}
	}
	if got := actionOf('d', false); got != first {
		t.Errorf("without a failed build: got %d", got)
	}
}
