// Package watch has the command watch, which runs a build for each change of the source.
package watch

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/help"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
)

// Build is one build of a watch.
type Build struct {
	*settings.Flags
	CommandLine string // that runs the same build without watch

	Began    func(*local.Session) // is called when the build is prepared
	Finished func(*runner.Record) // is called when the build has ended
	Sink     local.Sink           // shows the build instead of the usual one; nil for that
}

// Builder runs builds as the command run does, which is in another package.
type Builder struct {
	Run   func(ctx context.Context, a *cli.App, b Build) error
	Debug func(ctx context.Context, a *cli.App, b Build) error // opens the prompt of the failed build
}

// Options are the flags of watch.
type Options struct {
	settings.Flags
	Builder Builder

	NoRestart bool   // let a build end before the next one begins
	Clear     bool   // the screen before each build
	Notify    string // off, bell or message: when red and green change

	// settle returns the flags with the settings that the files have now.
	settle      func(ctx context.Context) (*settings.Flags, error)
	commandLine string
}

// The values of Notify.
const (
	notifyOff     = "off"
	notifyBell    = "bell"
	notifyMessage = "message"
)

// NewCmd returns the command watch.
func NewCmd(a *cli.App, b Builder, runF cli.RunF[Options]) *cobra.Command {
	o := &Options{Builder: b}
	c := &cobra.Command{
		Use:   "watch [DIR | FILE]",
		Short: "Run a build for each change of the source",
		Long: "Run a build, and another one when a file changes that the build would see, the buildspec\n" +
			"or a file with settings: also after a failed build, until Ctrl-C or q. A change during a\n" +
			"build stops it, and a new one begins. Files that git ignores are not watched. Without a\n" +
			"terminal each build is one line.",
		Example: "  buildlocal watch\n  buildlocal watch -i node:22 --clear --notify bell\n" +
			"  buildlocal watch --no-restart --format json",
		Annotations: help.Notes(
			"Keys: d opens the prompt of the failed build, r runs the build again, f runs it from the",
			"start, q ends.",
			"",
			"Exit codes: that of the last build, see 'buildlocal run --help', or 130 if Ctrl-C stopped it.",
		),
		Args: cli.SourceArg,
	}
	o.Add(c)
	own := c.Flags()
	own.BoolVar(&o.NoRestart, "no-restart", false, "let a running build end before the next one begins")
	own.BoolVar(&o.Clear, "clear", false, "clear the screen before each build")
	own.StringVar(&o.Notify, "notify", notifyOff,
		"call your attention when red and green change: `HOW` is bell, message (OSC 9) or off")
	help.SetGroup(own, "Watching", "no-restart", "clear", "notify")
	c.RunE = func(c *cobra.Command, _ []string) error {
		o.commandLine = strings.Replace(cli.CommandLine(c), " watch", " run", 1)
		o.settle = settings.Again(a, c) // before flags get values from other places
		err := o.Settle(c.Context(), a, c)
		a.GuardStderr()
		notify := cli.OneOf("notify", o.Notify, notifyOff, notifyBell, notifyMessage)
		if err = cli.JoinErrors([]error{err, notify}); err != nil {
			return err
		}
		return runF.Or(a, run)(c.Context(), o)
	}
	return c
}

// settingsFiles returns the files that have settings.
func settingsFiles(a *cli.App, f *settings.Flags) []string {
	files := []string{filepath.Join(f.Source.Dir, settings.File)}
	if dir := a.ConfigDir(); dir != "" {
		files = append(files, filepath.Join(dir, "config.yml"))
	}
	return files
}
