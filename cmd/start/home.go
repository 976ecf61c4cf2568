// Package start has the first screens of the program: the one without a command, init and
// version.
package start

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
)

// Home prints the state of the current directory, and the likeliest next steps. No engine is
// asked.
func Home(ctx context.Context, a *cli.App) error {
	var flags settings.Flags
	c := &cobra.Command{Use: "buildlocal"}
	flags.AddSome(c, "source", "source-root", "buildspec", "project", "project-name", "output")
	if err := flags.Settle(ctx, a, c); err != nil {
		return err
	}
	in, err := a.LoadWithoutSecrets(ctx, &flags.Request)
	if in != nil {
		defer in.Close()
	}
	screen := a.Screen()
	var none *local.NoBuildspecError
	var problems diag.List
	switch {
	case errors.As(err, &none):
		homeWithout(screen, none, flags.Source.Dir)
	case errors.As(err, &problems):
		homeBroken(screen, in, problems)
	case err != nil:
		return err
	default:
		homeWith(a, screen, in)
	}
	screen.Gap()
	screen.Line(console.Accent("buildlocal --help"), console.Plain(" lists all commands"))
	return screen.Err()
}

// step is a command to type, and what it does.
type step struct{ command, purpose string }

// printSteps prints the next steps, the likeliest first.
func printSteps(s *console.Screen, steps []step) {
	width := 0
	for _, step := range steps {
		width = max(width, len(step.command))
	}
	s.Gap()
	for _, step := range steps {
		s.Line(console.Plain("  "), console.Accent(step.command),
			console.Plain(strings.Repeat(" ", width-len(step.command)+3)+step.purpose))
	}
}

// homeWithout is the screen of a directory without a buildspec.
func homeWithout(s *console.Screen, none *local.NoBuildspecError, dir string) {
	head, _, _ := strings.Cut(none.Error(), "\n")
	s.Printf("%s", head)
	s.Message(strings.TrimPrefix(none.Lines("run"), "\n"))
	found := ""
	if files := foundFiles(detect(os.DirFS(dir))); len(files) > 0 {
		found = " (found " + strings.Join(files, ", ") + ")"
	}
	printSteps(s, []step{{"buildlocal init", "write one for this directory" + found}})
}

// homeBroken is the screen of a directory whose buildspec or project has errors.
func homeBroken(s *console.Screen, in *local.Inputs, problems diag.List) {
	file := problems[0].File
	if in != nil && in.Spec != nil {
		file = in.Spec.File
	}
	s.Facts(console.Strong(filepath.Base(local.RealDir("."))),
		console.Bad(fmt.Sprintf("%s: %s", file, human.Count(problems.Count(diag.Error), "error"))))
	printSteps(s, []step{{"buildlocal validate", "show the problems of " + file}})
}

// homeWith is the screen of a directory that can be built.
func homeWith(a *cli.App, s *console.Screen, in *local.Inputs) {
	facts := []console.Span{
		console.Strong(in.ProjectName), console.Plain(contents(in.Spec)),
	}
	if version := in.Source.Version(); version != "" {
		facts = append(facts, console.Plain(version))
	}
	s.Facts(facts...)
	steps := []step{{"buildlocal run", "run the build"}, {"buildlocal validate", "check " + in.Spec.File}}
	all := in.Builds.All()
	if len(all) == 0 {
		printSteps(s, append(steps, step{"buildlocal plan", "print what run would do"}))
		return
	}
	ended := printLast(a, s, in.Builds, all[0])
	logs := step{fmt.Sprintf("buildlocal logs %d", all[0].Number), fmt.Sprintf("print the output of #%d", all[0].Number)}
	switch ended {
	case runner.Succeeded:
		steps = append(steps, step{"buildlocal open", fmt.Sprintf("open the page of #%d", all[0].Number)})
	case "":
		logs = step{"buildlocal logs -f", fmt.Sprintf("follow the output of #%d", all[0].Number)}
		steps = append([]step{logs, {"buildlocal ps", "list running builds"}}, steps...)
	default:
		steps = append([]step{logs}, steps...)
	}
	printSteps(s, steps)
}

// contents describes a buildspec: "buildspec.yml, 3 phases, 7 commands".
func contents(spec *buildspec.Buildspec) string {
	commands := 0
	for _, p := range spec.Phases {
		commands += len(p.Commands) + len(p.Finally)
	}
	return fmt.Sprintf("%s, %s, %s", spec.File, human.Count(len(spec.Phases), "phase"), human.Count(commands, "command"))
}

// printLast prints how the newest build ended, and returns its status; "" if it has none.
func printLast(a *cli.App, s *console.Screen, store *builds.Store, b builds.Build) runner.Status {
	number := console.Strong(fmt.Sprintf(" #%d ", b.Number))
	r, err := local.ReadRecord(b)
	if err != nil && store.Running(b) {
		s.Line(console.SignCurrent, number, console.Accent("RUNNING"))
		return ""
	}
	if err != nil {
		s.Line(console.SignAttention, number, console.Warn("KILLED"))
		return runner.Fault
	}
	sign, state := console.State(r.Status)
	at := ""
	if end := console.EndOf(r); end.Command != "" {
		at = " at " + end.Command
	} else if end.Phase != "" {
		at = " in " + string(end.Phase)
	}
	s.Line(sign, number, state, console.Plain(at+", "+human.When(r.Start, a.Now())))
	return r.Status
}
