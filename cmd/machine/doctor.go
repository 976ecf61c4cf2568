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
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/local"
)

// Verdicts of a line of doctor.
const (
	verdictOK   = "ok"
	verdictWarn = "warn" // something does not work, but builds may not need it
	verdictFail = "fail" // no build can run, or this one cannot
)

// finding is one line of doctor.
type finding struct {
	Check   string   `json:"check"`
	Verdict string   `json:"verdict"`
	Message string   `json:"message"`
	Notes   []string `json:"notes,omitempty"`
	Fix     string   `json:"fix,omitempty"`
}

// NewDoctor returns the command doctor.
func NewDoctor(app *cli.App) *cobra.Command {
	a := commands{app}
	f := &settings.Flags{}
	format := ""
	c := &cobra.Command{
		Use: "doctor", Short: "Check this machine and project for problems and suggest fixes", Args: cli.NoArgs,
		Long: "Check each engine, disk space, emulators, credentials, proxies, the buildspec and\n" +
			"its image. Each line is ok, warn (builds can run without it) or fail, followed by\n" +
			"a suggested fix. No image is pulled and no build is started.",
		Annotations: cli.Notes(
			"Exit codes: 0 no check failed, 2 usage error, 3 only the buildspec or project",
			"failed, 4 builds cannot run on this machine.",
		),
		Example: "  buildlocal doctor\n  buildlocal doctor -i node:22 --engine sandbox\n  buildlocal doctor --project " +
			"project.json --format json",
	}
	c.Flags().SortFlags = false
	f.AddSome(
		c,
		"source",
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
	c.Flags().StringVar(&format, "format", "text", "print results as `FORMAT`: text or json")
	cli.SetGroup(c.Flags(), cli.OutputGroup, "format")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if format != "text" && format != "json" {
			return cli.Usagef("--format: invalid value %q; expected text or json", format)
		}
		if err := f.Settle(c.Context(), a.App, c); err != nil {
			return err
		}
		return a.doctor(c.Context(), f, format)
	}
	return c
}

// doctorCheck checks one subject and returns any number of lines.
type doctorCheck func(ctx context.Context, d *diagnosis) []finding

// diagnosis is the data that the checks share. They run concurrently and only read it.
type diagnosis struct {
	app    commands
	flags  *settings.Flags
	inputs *local.Inputs // of the build, as far as they can be read; may be nil
	error  error         // why they cannot be read
	none   bool          // the source has no buildspec, and an empty one is used
}

// load reads the inputs. Without a buildspec, the other checks use an empty one.
func (d *diagnosis) load(ctx context.Context) {
	d.inputs, d.error = d.app.Load(ctx, &d.flags.Request)
	if !errors.Is(d.error, fs.ErrNotExist) || d.flags.Source.Buildspec != "" || d.flags.Source.Project != "" {
		return
	}
	if d.inputs != nil {
		d.inputs.Close()
	}
	d.flags.Source.Buildspec, d.none = "version: 0.2\nphases: {build: {commands: [\"true\"]}}", true
	d.inputs, d.error = d.app.Load(ctx, &d.flags.Request)
}

func (a commands) doctor(ctx context.Context, f *settings.Flags, format string) error {
	d := &diagnosis{app: a, flags: f}
	d.load(ctx)
	if d.inputs != nil {
		defer d.inputs.Close()
	}
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
	if err := context.Cause(ctx); err != nil {
		return err
	}
	lines := slices.Concat(results...)
	if format == "json" {
		if err := a.WriteJSON(map[string]any{"version": 1, "buildlocal": a.Version, "checks": lines}); err != nil {
			return err
		}
	} else {
		for _, f := range lines {
			fmt.Fprintln(a.Stdout, f)
		}
	}
	return doctorVerdict(lines)
}

// textChecks are the checks of files that the user wrote. They have another exit code.
var textChecks = []string{"buildspec", "project"}

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

// String returns the lines for a finding: the message, notes and the fix, wrapped to the
// width of the help.
func (f finding) String() string {
	head := fmt.Sprintf("%-5s %-12s ", f.Verdict, f.Check)
	var b strings.Builder
	say := func(text string) {
		for _, p := range strings.Split(text, "\n") {
			for _, line := range wrapped(p, cli.HelpWidth-len(head)) {
				b.WriteString(head + line + "\n")
				head = strings.Repeat(" ", len(head))
			}
		}
	}
	say(f.Message)
	for _, n := range f.Notes {
		say(n)
	}
	if f.Fix != "" {
		say("fix: " + f.Fix)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// wrapped splits a text between words into lines of a width. A longer word gets a line of
// its own.
func wrapped(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
