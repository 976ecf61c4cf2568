// Package clitest tests the flags of commands: command lines in, options or errors out.
// No command does its work.
package clitest

import (
	"context"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
)

// Case is one command line.
type Case struct {
	Args string // after the command's own name, separated by spaces
	Want any    // the part of the options that the test looks at
	Err  string // text in the error; if it is set, the options are not compared
}

// Flags runs the cases against a command. Each case gets a new command, because options
// keep the values of earlier parses, and an environment without variables and without a
// home directory, so no configuration of the developer's machine has an effect. The
// function view returns the part of the options that is compared with Case.Want.
func Flags[O any](
	t *testing.T, newCmd func(*cli.App, cli.RunF[O]) *cobra.Command, view func(*O) any, cases []Case,
) {
	t.Helper()
	for _, test := range cases {
		var got *O
		a := &cli.App{Stdout: io.Discard, Stderr: io.Discard}
		a.LookupEnv = func(string) (string, bool) { return "", false }
		c := newCmd(a, func(_ context.Context, o *O) error { got = o; return nil })
		c.SilenceErrors, c.SilenceUsage = true, true
		c.SetFlagErrorFunc(cli.FlagError)
		c.SetContext(t.Context())
		c.SetArgs(strings.Fields(test.Args))
		err := c.Execute()
		switch {
		case test.Err != "" && (err == nil || !strings.Contains(err.Error(), test.Err)):
			t.Errorf("%s %s: got error %v, want %q", c.Name(), test.Args, err, test.Err)
		case test.Err != "" && cli.ExitCode(err) != cli.ExitUsage:
			t.Errorf("%s %s: exit code %d, want %d (%v)", c.Name(), test.Args, cli.ExitCode(err), cli.ExitUsage, err)
		case test.Err != "":
		case err != nil || got == nil:
			t.Errorf("%s %s: not run: %v", c.Name(), test.Args, err)
		case !reflect.DeepEqual(view(got), test.Want):
			t.Errorf("%s %s:\n got %+v\nwant %+v", c.Name(), test.Args, view(got), test.Want)
		}
	}
}
