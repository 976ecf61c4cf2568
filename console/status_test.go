package console_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/runner"
)

// statusStory is a phase of two commands, whose second one prints nothing for two minutes.
func statusStory() []runner.Event {
	plan := &runner.Plan{Phases: []runner.Phase{{Type: runner.Build, Commands: make([]buildspec.Command, 2)}}}
	plan.Identity.Project = "shop"
	after := func(seconds int, e runner.Event) runner.Event {
		e.Time, e.Phase = at.Add(time.Duration(seconds)*time.Second), runner.Build
		return e
	}
	return []runner.Event{
		after(0, runner.Event{Kind: runner.BuildBegan, Plan: plan}),
		after(0, runner.Event{Kind: runner.PhaseBegan}),
		after(0, runner.Event{Kind: runner.CommandBegan, Text: "true", At: "build:1", Attempt: 1}),
		after(1, runner.Event{Kind: runner.CommandEnded, Text: "true", At: "build:1", Attempt: 1}),
		after(1, runner.Event{Kind: runner.CommandBegan, Text: "npm test\nnpm run build", At: "build:2", Attempt: 1}),
		after(2, runner.Event{Kind: runner.Printed, Output: []byte("begin\n")}),
		after(3, runner.Event{Kind: runner.Printed, Output: []byte("half a line")}),
		after(4, runner.Event{Kind: runner.Said}),
		after(5, runner.Event{Kind: runner.Printed, Output: []byte(", whole\n")}),
		after(125, runner.Event{Kind: runner.Said}),
		after(126, runner.Event{Kind: runner.BuildEnded, Record: &runner.Record{Status: runner.Succeeded}}),
	}
}

func TestStatus_NeverInsideALine(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer // one terminal for both streams
	usual := func(command string) time.Duration {
		if command == "npm test\nnpm run build" {
			return 25 * time.Second
		}
		return 0
	}
	text := console.NewText(&b, console.Options{Progress: console.ProgressLine, Width: columns(70), Usual: usual})
	for _, e := range statusStory() {
		text.Notify(e)
	}
	printed := b.String()
	if !strings.Contains(printed, "half a line, whole\n") {
		t.Errorf("the status line is inside a line of a command: %q", printed)
	}
	for _, want := range []string{"BUILD 2/2  npm test ", "no output for 2:00      2:04 of ~0:25"} {
		if !strings.Contains(printed, want) {
			t.Errorf("%q is missing: %q", want, printed)
		}
	}
	// A terminal shows nothing of the status line at the end.
	left := ""
	for line := range strings.Lines(printed) {
		left += line[strings.LastIndex(line, "\x1b[K")+1:]
	}
	if left = strings.ReplaceAll(left, "[K", ""); strings.Contains(left, "BUILD 2/2") {
		t.Errorf("the status line is left behind: %q", left)
	}
}

func TestStatus_NothingWithoutATerminal(t *testing.T) {
	t.Parallel()
	var b, status bytes.Buffer
	text := console.NewText(&b, console.Options{Status: &status, Progress: console.ProgressOff})
	for _, e := range statusStory() {
		text.Notify(e)
	}
	if strings.Contains(b.String(), "BUILD 2/2") || strings.ContainsAny(b.String(), "\r\x1b") || status.Len() > 0 {
		t.Errorf("got %q and %q", b.String(), status.String())
	}
}
