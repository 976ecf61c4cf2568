// Package repro has the command repro, which repeats a build of CodeBuild and compares the two.
package repro

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/help"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/cmd/tty"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/repro"
	"github.com/buildlocal/buildlocal/runner"
)

// Command returns the command run, which is in another package, except that it calls do instead of
// running the build: repro is a variant of it.
type Command func(a *cli.App, do func(context.Context, *Build) error) *cobra.Command

// Build is a build with the flags of run, which has not been started.
type Build struct {
	*settings.Flags
	Run func(context.Context, Hooks) error
}

// Hooks are functions that a build calls. All of them may be nil.
type Hooks struct {
	Prepared func(*local.Inputs)  // the inputs are read
	Ended    func(*runner.Record) // the build has ended; adds facts to the record
	Finished func(*runner.Record) // the record is masked
}

// Options are the flags and arguments of repro that run does not have.
type Options struct {
	*Build
	Of    string // a file, -, or the name of a build in CodeBuild
	ID    string // of one of several builds in the file
	Log   string // file with the log; may be empty
	Here  bool
	Check bool // the exit code is the verdict

	WithCache, SameIdentity bool
}

// NewCmd returns the command repro.
func NewCmd(a *cli.App, run Command, runF cli.RunF[Options]) *cobra.Command {
	o := &Options{}
	c := run(a, func(ctx context.Context, b *Build) error {
		o.Build = b
		return runF.Or(a, reproduce)(ctx, o)
	})
	c.Use, c.Short = "repro FILE | - | BUILD-ID | ARN | URL", "Repeat a failed build of CodeBuild on this machine"
	c.Long = "Read the record of a build, as aws codebuild batch-get-builds prints it or as EventBridge\n" +
		"sends it, and run the same commit with the same settings here. On a terminal the build stops\n" +
		"before the command that failed in CodeBuild, as with --debug --break. At the end both builds\n" +
		"are compared: reproduced, fails otherwise, or passes here with the known differences. With\n" +
		"--aws, the record and the log are read from your AWS account; nothing is sent otherwise.\n" +
		"Takes all flags of run."
	c.Example = "  aws codebuild batch-get-builds --ids shop:0a1b... | buildlocal repro - -i node:22\n" +
		"  buildlocal repro build.json --log build.log --check\n  buildlocal repro --aws shop:0a1b..."
	c.Annotations = help.Notes(
		"Exit codes: those of run; with --check 0 if the build is reproduced, else 1 unless it could not run,",
		"2 usage error, 3 unreadable record or missing commit.")
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return cli.Usagef("%s takes one record of a build, got %d arguments\n"+
				"aws codebuild batch-get-builds --ids ID prints one", c.CommandPath(), len(args))
		}
		o.Of = args[0]
		return nil
	}
	f := c.Flags()
	f.StringVar(&o.Log, "log", "", "read the log of the build from `FILE`, to find the command that failed")
	f.StringVar(&o.ID, "id", "", "select the build `ID` in a file with several")
	f.BoolVar(&o.Here, "here", false, "build the files of the source as they are, not the commit of the build")
	f.BoolVar(&o.Check, "check", false, "do not stop, and exit with 0 if the build is reproduced, else with 1")
	f.BoolVar(&o.WithCache, "with-cache", false, "use the local cache (default: none)")
	f.BoolVar(&o.SameIdentity, "same-identity", false, "give the build the number and the IDs of the repeated one")
	return c
}

// reproduce repeats a build and compares it.
func reproduce(ctx context.Context, a *cli.App, o *Options) error {
	b, log, err := o.read(ctx, a)
	if err != nil {
		return err
	}
	repeated := &local.Repeated{Build: b, Here: o.Here, Cache: o.WithCache, SameIdentity: o.SameIdentity}
	failure := b.Failure(log)
	tree, err := a.Repeat(ctx, &o.Request, repeated)
	if err != nil {
		return err
	}
	o.Source.Project = o.Of // for the origins of variables
	r := &reproduction{
		o: o, failure: failure,
		Case: repro.Case{Build: b, Failure: failure, Tree: tree, Cache: !o.Cache.Off},
	}
	o.Debug.Debug = o.Debug.Debug || !o.Check && o.Format == "text" && tty.Prompt(a) != nil
	a.Warnf("note: %s", r.introduction())
	err = o.Run(ctx, Hooks{
		Prepared: func(in *local.Inputs) { r.breakAt(a, in) },
		Ended:    func(record *runner.Record) { record.Repro = repro.Compare(r.Case, record) },
		Finished: func(record *runner.Record) { r.result = record.Repro },
	})
	if r.result == nil { // the build was not started
		return err
	}
	if o.Format == "text" {
		r.print(a)
	}
	if code := cli.ExitCode(err); !o.Check || code != cli.ExitSucceeded && code != cli.ExitFailed &&
		code != cli.ExitTimedOut {
		return err
	}
	if r.result.Verdict != repro.Reproduced {
		return cli.ExitError{Code: cli.ExitFailed}
	}
	return nil
}

// read reads the record of the build and its log.
func (o *Options) read(ctx context.Context, a *cli.App) (b project.Build, log string, err error) {
	id, isID := local.ParseBuildID(o.Of)
	_, missing := os.Lstat(o.Of)
	if isID && missing != nil {
		b, log, err = a.FetchBuild(ctx, &o.Request, id)
	} else {
		b, err = a.ReadBuild(ctx, o.Of, o.ID)
	}
	if err == nil && o.Log != "" {
		log, err = local.ReadLog(ctx, o.Log)
	}
	return b, log, err
}

// reproduction is a build that repeats another one.
type reproduction struct {
	repro.Case
	o       *Options
	failure project.BuildFailure
	result  *runner.Repro // nil until the build has ended
}

// introduction describes the build that is repeated.
func (r *reproduction) introduction() string {
	text := r.Build.ID + " " + r.Build.Status
	if f := r.failure; f.Phase != "" {
		text += " in " + f.Phase
		if f.Command != "" {
			first, _, _ := strings.Cut(f.Command, "\n")
			text += ": " + first
		}
	}
	return "repeating " + text
}

// breakAt stops the build before the command that failed in CodeBuild, if it is going to stop at all.
func (r *reproduction) breakAt(a *cli.App, in *local.Inputs) {
	if r.failure.Command == "" {
		return
	}
	at := in.CommandPlace(r.failure.Phase, r.failure.Command)
	switch {
	case at == "":
		a.Warnf("note: the buildspec here does not have the command that failed in CodeBuild")
	case r.o.Debug.Stops():
		r.o.Debug.Break = append(r.o.Debug.Break, at)
	}
}

// print prints the verdict.
func (r *reproduction) print(a *cli.App) {
	s := a.Screen()
	s.Gap()
	verdict := console.Warn(r.result.Verdict)
	if r.result.Verdict == repro.Reproduced {
		verdict = console.Good(r.result.Verdict)
	}
	s.Line(verdict, console.Plain(": "+r.Build.ID))
	t := console.Table{Columns: []console.Column{{}, {Fit: console.FitText}}, NoHead: true}
	t.Add(console.Weak("  in CodeBuild"), console.Plain(r.result.There))
	t.Add(console.Weak("  here"), console.Plain(r.result.Here))
	s.Table(t)
	if r.result.Verdict == repro.Reproduced {
		return
	}
	s.Line(console.Strong("known differences, the likeliest cause first"))
	for _, text := range r.result.Differences {
		s.Paragraph(text, console.Plain("  -"))
	}
}
