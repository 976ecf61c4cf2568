package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
)

// Verdicts of a line of doctor.
const (
	verdictOK   = "ok"
	verdictWarn = "warn" // something does not work that a build may do without
	verdictFail = "fail" // no build can run, or not this one
)

// finding is one line of doctor.
type finding struct {
	Check   string   `json:"check"`
	Verdict string   `json:"verdict"`
	Message string   `json:"message"`
	Notes   []string `json:"notes,omitempty"`
	Fix     string   `json:"fix,omitempty"`
}

func newDoctor(a *App) *cobra.Command {
	f := &runFlags{}
	format := ""
	c := &cobra.Command{
		Use: "doctor", Short: "Check this machine and project for problems and suggest fixes", Args: noArgs,
		Long: "Check each engine, disk space, emulators, credentials, proxies, the buildspec and\n" +
			"its image. Each line is ok, warn (builds can run without it) or fail, followed by\n" +
			"a suggested fix. No image is pulled and no build is started.",
		Annotations: notes(
			"Exit codes: 0 no check failed, 2 usage error, 3 only the buildspec or project",
			"failed, 4 builds cannot run on this machine.",
		),
		Example: "  buildlocal doctor\n  buildlocal doctor -i node:22 --engine sandbox\n  buildlocal doctor --project project.json --format json",
	}
	c.Flags().SortFlags = false
	addSomeRunFlags(c, f, "source", "buildspec", "image", "images", "project", "project-name", "profile", "engine", "compute-type", "privileged", "ignore")
	c.Flags().StringVar(&format, "format", "text", "print results as `FORMAT`: text or json")
	setGroup(c.Flags(), outputGroup, "format")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if format != "text" && format != "json" {
			return usagef("--format: invalid value %q; expected text or json", format)
		}
		if err := f.settle(a, c); err != nil {
			return err
		}
		return a.doctor(c.Context(), f, format)
	}
	return c
}

// doctorCheck is one thing that doctor looks at; several lines may come of it.
type doctorCheck func(ctx context.Context, d *diagnosis) []finding

// diagnosis is what the checks of doctor share.
type diagnosis struct {
	app   *App
	flags *runFlags
	found *found // the build, as far as it can be read; nil for none
	error error  // why it cannot
	none  bool   // there is no buildspec, and none was named: another stands for it
}

// gather reads the build. Where there is no buildspec the rest is looked at all the same.
func (d *diagnosis) gather(ctx context.Context) {
	d.found, d.error = d.app.gather(ctx, d.flags)
	if !errors.Is(d.error, fs.ErrNotExist) || d.flags.buildspec != "" || d.flags.project != "" {
		return
	}
	if d.found != nil {
		d.found.remove()
	}
	d.flags.buildspec, d.none = "version: 0.2\nphases: {build: {commands: [\"true\"]}}", true
	d.found, d.error = d.app.gather(ctx, d.flags)
}

func (a *App) doctor(ctx context.Context, f *runFlags, format string) error {
	d := &diagnosis{app: a, flags: f}
	d.gather(ctx)
	if d.found != nil {
		defer d.found.remove()
	}
	checks := []doctorCheck{checkEngines, checkDisks, checkPlatform, checkMachine, checkCredentials, checkLogins, checkProxy, checkBuildspec, checkImage}
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
		if err := a.writeJSON(map[string]any{"version": 1, "buildlocal": a.Version, "checks": lines}); err != nil {
			return err
		}
	} else {
		for _, f := range lines {
			fmt.Fprintln(a.Stdout, f)
		}
	}
	return doctorVerdict(lines)
}

// textChecks are about what somebody wrote.
var textChecks = []string{"buildspec", "project"}

func doctorVerdict(lines []finding) error {
	code := 0
	for _, f := range lines {
		switch {
		case f.Verdict != verdictFail:
		case !slices.Contains(textChecks, f.Check):
			return errFailed{exitFault}
		default:
			code = exitText
		}
	}
	if code != 0 {
		return errFailed{code}
	}
	return nil
}

// String returns a line, and more for notes and for the way to mend it, none wider than
// the help.
func (f finding) String() string {
	head := fmt.Sprintf("%-5s %-12s ", f.Verdict, f.Check)
	var b strings.Builder
	say := func(text string) {
		for _, p := range strings.Split(text, "\n") {
			for _, line := range wrapped(p, helpWidth-len(head)) {
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

// wrapped splits a text between words into lines of a width; a long word has its
// own.
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
