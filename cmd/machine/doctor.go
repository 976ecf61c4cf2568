// Package machine has the command doctor, which checks this host and the project.
package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/help"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
)

// Verdicts of a line of doctor.
const (
	verdictOK   = "ok"
	verdictInfo = "info" // not set up, and not needed so far
	verdictWarn = "warn" // something that the build at hand needs does not work well
	verdictFail = "fail" // no build can run, or this one cannot
)

// finding is one result of a check: its line in the text, and its object in JSON.
type finding struct {
	Check   string   `json:"check"`           // the name in the second column
	Verdict string   `json:"verdict"`         // ok, info, warn or fail
	Message string   `json:"message"`         // the state, one sentence
	Notes   []string `json:"notes,omitempty"` // details, each on its own line
	Fix     string   `json:"fix,omitempty"`   // the next step; printed after "fix: "
}

// DoctorOptions are the flags of doctor.
type DoctorOptions struct {
	settings.Flags        // those of run that describe the build to check
	Format         string // text or json
}

// NewDoctor returns the command doctor.
func NewDoctor(a *cli.App, runF cli.RunF[DoctorOptions]) *cobra.Command {
	o := &DoctorOptions{}
	c := &cobra.Command{
		Use: "doctor", Short: "Check this host and project for problems and suggest fixes", Args: cli.NoArgs,
		Long: "Check each engine, disk space, emulators, credentials, proxies, the buildspec and\n" +
			"its image. A sign shows whether it works, is not set up and not needed so far, needs\n" +
			"attention, or fails; a fix follows. No image is pulled and no build is started.",
		Annotations: help.Notes(
			"Exit codes: 0 no check failed, 2 usage error, 3 only the buildspec or project",
			"failed, 4 builds cannot run on this host.",
		),
		Example: "  buildlocal doctor\n  buildlocal doctor -i node:22 --engine sandbox\n  buildlocal doctor --project " +
			"project.json --format json",
	}
	c.Flags().SortFlags = false
	o.AddSome(
		c,
		"source",
		"source-root",
		"buildspec",
		"image",
		"images",
		"project",
		"project-name",
		"profile",
		"engine",
		"compute-type",
		"privileged",
		"ignore",
	)
	// Not the format of run: events make no sense here.
	c.Flags().StringVar(&o.Format, "format", "text", "print results as `FORMAT`: text or json")
	help.SetGroup(c.Flags(), help.OutputGroup, "format")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := cli.OneOf("format", o.Format, "text", "json"); err != nil {
			return err
		}
		if err := o.Settle(c.Context(), a, c); err != nil {
			return err
		}
		return runF.Or(a, doctor)(c.Context(), o)
	}
	return c
}

// doctorCheck checks one subject and returns any number of lines. It returns none if its
// subject does not apply to the build, or cannot be asked because of a problem that another
// check reports.
type doctorCheck func(ctx context.Context, d *diagnosis) []finding

// diagnosis is the data that the checks share. They run concurrently and only read it.
type diagnosis struct {
	app         *cli.App
	flags       *settings.Flags
	inputs      *local.Inputs // of the build, as far as they can be read; may be nil
	inputsErr   error         // why they cannot be read
	noBuildspec bool          // the source has no buildspec, and one that does nothing is used
}

// load reads the inputs. Without a buildspec, the other checks use one that does nothing:
// many people run doctor in their home directory, before they have a project.
func (d *diagnosis) load(ctx context.Context) {
	d.inputs, d.inputsErr = d.app.Load(ctx, &d.flags.Request)
	// A buildspec or a project that the user named has to exist.
	if !errors.Is(d.inputsErr, fs.ErrNotExist) || d.flags.Source.Buildspec != "" || d.flags.Source.Project != "" {
		return
	}
	if d.inputs != nil {
		d.inputs.Close()
	}
	d.flags.Source.Buildspec, d.noBuildspec = "version: 0.2\nphases: {build: {commands: [\"true\"]}}", true
	d.inputs, d.inputsErr = d.app.Load(ctx, &d.flags.Request)
}

// doctor runs all checks at once, because several wait for the Docker engine, AWS or a
// credential helper, and prints their lines in a fixed order.
func doctor(ctx context.Context, a *cli.App, o *DoctorOptions) error {
	d := &diagnosis{app: a, flags: &o.Flags}
	d.load(ctx)
	if d.inputs != nil {
		defer d.inputs.Close()
	}
	// From the machine to the project: a later problem is often the result of an earlier one.
	checks := []doctorCheck{
		checkEngines,
		checkDisks,
		checkPlatform,
		checkMachine,
		checkCredentials,
		checkLogins,
		checkProxy,
		checkBuildspec,
		checkImage,
	}
	results := make([][]finding, len(checks))
	var group sync.WaitGroup
	for i, check := range checks {
		group.Go(func() { results[i] = check(ctx, d) })
	}
	group.Wait()
	// Results of interrupted checks would blame the engine or the network.
	if err := context.Cause(ctx); err != nil {
		return err
	}
	lines := slices.Concat(results...)
	if o.Format == cli.FormatJSON {
		if err := a.WriteJSON(map[string]any{"version": 1, "buildlocal": a.Version, "checks": lines}); err != nil {
			return err
		}
	} else if err := printFindings(a.Screen(), lines); err != nil {
		return err
	}
	return doctorVerdict(lines)
}

// printFindings prints the findings, and at the end which builds can run here.
func printFindings(s *console.Screen, lines []finding) error {
	engines, problems := "", 0
	for _, f := range lines {
		if f.Check == engineCheck {
			engines = f.Message
			if f.Verdict != verdictFail {
				continue // the last line says it
			}
		}
		if f.Verdict == verdictWarn || f.Verdict == verdictFail {
			problems++
		}
		sign := s.Sign(signs[f.Verdict])
		s.Paragraph(f.Message, sign, console.Strong(fmt.Sprintf(" %-*s", checkWidth+1, f.Check)))
		indent := console.Plain(strings.Repeat(" ", len([]rune(sign.Text))+checkWidth+2))
		for _, line := range f.details() {
			s.Paragraph(line, indent)
		}
	}
	if problems == 0 {
		s.Printf("%s; no problems", engines)
	} else {
		s.Printf("%s; %s", engines, human.Count(problems, "problem"))
	}
	return s.Err()
}

// signs are the signs of the verdicts.
var signs = map[string]console.Span{
	verdictOK: console.SignOK, verdictInfo: console.SignInfo, verdictWarn: console.SignAttention,
	verdictFail: console.SignFailed,
}

// checkWidth is the width of the longest name of a check.
const checkWidth = len("credentials")

// engineCheck is the name of the check of the engines together.
const engineCheck = "engine"

// textChecks are the checks of files that the user wrote. They have another exit code,
// because fixing them is up to the project, not to the administrator of the machine.
var textChecks = []string{"buildspec", "project"}

// doctorVerdict returns the error for the results. A machine that cannot run builds weighs
// more than a buildspec with errors.
func doctorVerdict(lines []finding) error {
	code := 0
	for _, f := range lines {
		switch {
		case f.Verdict != verdictFail:
		case !slices.Contains(textChecks, f.Check):
			return cli.ExitError{Code: cli.ExitFault}
		default:
			code = cli.ExitInput
		}
	}
	if code != 0 {
		return cli.ExitError{Code: code}
	}
	return nil
}

// details returns the other lines of a finding: notes, and the fix.
func (f finding) details() []string {
	lines := slices.Clone(f.Notes)
	if f.Fix != "" {
		lines = append(lines, "fix: "+human.Clause(human.TrimStop(f.Fix)))
	}
	return lines
}
