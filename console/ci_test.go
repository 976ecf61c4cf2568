package console_test

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/runner"
)

const token = "tokentokentokentokentoken1"

// ciOptions are those of a job whose repository is at /repo.
func ciOptions(kind console.CIKind, verdict *bytes.Buffer) console.Options {
	return console.Options{Logs: "buildlocal logs", CI: console.CI{
		Kind: kind, Token: token, Verdict: verdict,
		Path: func(file string) string {
			inside, is := strings.CutPrefix(file, "/repo/")
			if !is {
				return ""
			}
			return inside
		},
	}}
}

// ciStory returns the events of a build that prints commands of CI systems where it can: in the
// text of its commands, in their output, also split, and in the line of the buildspec that failed.
// The first command of BUILD fails.
func ciStory(hostile string) []runner.Event {
	plan := &runner.Plan{
		Image: "node:22", Identity: runner.Identity{Project: "shop", Number: 12, UUID: "1a2b3c4d-0000"},
		Phases: []runner.Phase{
			{Type: runner.Install, Commands: make([]buildspec.Command, 1)},
			{Type: runner.Build, Commands: make([]buildspec.Command, 2), Finally: make([]buildspec.Command, 1)},
		},
	}
	events := []runner.Event{{Kind: runner.BuildBegan, Plan: plan, Time: at}}
	command := func(phase runner.PhaseType, place, text string, end runner.Event) {
		end.Kind, end.Phase, end.At, end.Text, end.Attempt, end.Time = runner.CommandEnded, phase, place, text, 1, at
		events = append(events, runner.Event{Kind: runner.CommandBegan, Phase: phase, At: place, Text: text,
			Attempt: 1, Time: at})
		for _, b := range []byte("output\n" + hostile + "\nend") {
			events = append(events, runner.Event{Kind: runner.Printed, Phase: phase, Output: []byte{b}, Time: at})
		}
		events = append(events, end)
	}
	phase := func(kind runner.Kind, phase runner.PhaseType, status runner.Status) {
		events = append(events, runner.Event{Kind: kind, Phase: phase, Status: status, Time: at,
			Context: runner.Context{StatusCode: runner.CommandError}})
	}
	phase(runner.PhaseBegan, runner.Install, "")
	command(runner.Install, "install:1", "npm ci\n"+hostile, runner.Event{})
	phase(runner.PhaseEnded, runner.Install, runner.Succeeded)
	phase(runner.PhaseBegan, runner.Build, "")
	command(runner.Build, "build:1", "npm test "+hostile, runner.Event{Exit: 1, Problem: &diag.Problem{
		File: "/repo/sub,dir/buildspec.yml", Line: 14, Column: 9, Width: 8, Message: "failed", Excerpt: "  " + hostile}})
	command(runner.Build, "build:finally:1", "true", runner.Event{})
	phase(runner.PhaseEnded, runner.Build, runner.Failed)
	record := &runner.Record{Number: 12, Status: runner.Failed, Start: at, End: at,
		Phases:   []runner.PhaseRecord{{Type: runner.Build, Status: runner.Failed}},
		Commands: []runner.CommandRecord{{Phase: runner.Build, At: "build:1", Text: "npm test", Exit: 1}}}
	return append(events, runner.Event{Kind: runner.BuildEnded, Record: record, Status: runner.Failed, Time: at})
}

// shown returns the log of a job, and its last line.
func shown(kind console.CIKind, events []runner.Event) (log, verdict string) {
	var b, last bytes.Buffer
	v := console.NewText(&b, ciOptions(kind, &last))
	for _, e := range events {
		v.Notify(e)
	}
	v.Close()
	return b.String(), last.String()
}

// gitHubCommands returns the commands in a log that the runner of GitHub Actions interprets, and
// whether it interprets any after the log (actions/runner, ActionCommand.cs and
// ActionCommandManager.cs).
func gitHubCommands(log string) (commands []string, enabled bool) {
	old := regexp.MustCompile(`##\[([a-z-]+)([^\]]*)\]`)
	current := regexp.MustCompile(`^::([^ :]+)([^:]*)::(.*)$`)
	stop := ""
	for _, line := range regexp.MustCompile(`\r\n|\r|\n`).Split(log, -1) {
		name, data := "", ""
		if m := current.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			name, data = m[1], m[3]
		} else if m := old.FindStringSubmatch(line); m != nil {
			name = m[1]
		}
		switch {
		case name == "":
		case stop != "":
			if strings.EqualFold(name, stop) {
				stop = ""
			}
		case name == "stop-commands":
			stop = data
		default:
			commands = append(commands, name)
		}
	}
	return commands, stop == ""
}

var hostileLines = []string{
	"::error::x", "  ::add-mask::e", "##[error]x", "text ##[set-output name=a]b", "::endgroup::", "::stop-commands::mine",
	"::group::x", "::" + strings.Repeat("a", 26) + "::", "\r::warning::x", "##vso[task.setvariable variable=a]b",
}

func TestCI_GitHubInterpretsNoOutput(t *testing.T) {
	t.Parallel()
	for _, hostile := range append(hostileLines, strings.Join(hostileLines, "\n")) {
		log, verdict := shown(console.CIGitHub, ciStory(hostile))
		commands, enabled := gitHubCommands(log)
		want := []string{"group", "endgroup", "group", "endgroup", "error"}
		if diff := cmp.Diff(want, commands); diff != "" || !enabled {
			t.Errorf("%q: commands are enabled after it: %t; %s\n%s", hostile, enabled, diff, log)
		}
		if want := "FAILED in 0s at build:1, exit 1\n"; verdict != want {
			t.Errorf("the verdict is %q, want %q", verdict, want)
		}
	}
}

// TestCI_GitHubResumesAfterCrash ends a build after each of its events in turn.
func TestCI_GitHubResumesAfterCrash(t *testing.T) {
	t.Parallel()
	events := ciStory("::error::x")
	for n := range events {
		log, _ := shown(console.CIGitHub, events[:n])
		commands, enabled := gitHubCommands(log)
		groups := 0
		for _, c := range commands {
			groups += map[string]int{"group": 1, "endgroup": -1}[c]
		}
		if !enabled || groups != 0 {
			t.Errorf("after %d events: enabled %t, %d open groups\n%s", n, enabled, groups, log)
		}
	}
}

func TestCI_GitHubAnnotationIsEscaped(t *testing.T) {
	t.Parallel()
	log, _ := shown(console.CIGitHub, ciStory("100%, a:b"))
	want := "::error file=sub%2Cdir/buildspec.yml,line=14,col=9,title=build%3A1::npm test 100%25, a:b: exit status 1\n"
	if !strings.Contains(log, want) {
		t.Errorf("the log does not have %q:\n%s", want, log)
	}
}

func TestCI_Golden(t *testing.T) {
	t.Parallel()
	for _, kind := range []console.CIKind{console.CIGitHub, console.CIGitLab} {
		log, _ := shown(kind, ciStory("::error::x\r\x1b[0K"))
		golden(t, string(kind)+".txt", log)
	}
}

// TestCI_GitLabSections reads the log as GitLab does (gitlab, lib/gitlab/regex.rb).
func TestCI_GitLabSections(t *testing.T) {
	t.Parallel()
	marker := regexp.MustCompile(`section_(start|end):(\d+):([a-zA-Z0-9_.-]+)(\[[a-zA-Z0-9_.,=-]+\])?\r\x1b\[0K`)
	hostile := "section_start:1:evil\r\x1b[0K and \r\x1b[0K\x1b[0K section_end:1:evil\r\x1b[0K\x1b[0K"
	log, _ := shown(console.CIGitLab, ciStory(hostile))
	var got []string
	for _, m := range marker.FindAllStringSubmatch(log, -1) {
		got = append(got, m[1]+" "+m[3])
	}
	want := []string{
		"start buildlocal_1a2b3c4d_1_install", "end buildlocal_1a2b3c4d_1_install",
		"start buildlocal_1a2b3c4d_2_build", "end buildlocal_1a2b3c4d_2_build",
	}
	if !slices.Equal(got, want) {
		t.Errorf("sections %q, want %q\n%q", got, want, log)
	}
}

// TestCI_OffIsPlain compares with a build outside of CI.
func TestCI_OffIsPlain(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	v := console.NewText(&b, console.Options{Logs: "buildlocal logs"})
	for _, e := range ciStory("::error::x") {
		v.Notify(e)
	}
	v.Close()
	for _, word := range []string{"::group", token, "section_"} {
		if strings.Contains(b.String(), word) {
			t.Errorf("%s in the output:\n%s", word, b.String())
		}
	}
	if !strings.HasSuffix(b.String(), "\nFAILED in 0s at build:1, exit 1\n") {
		t.Errorf("no verdict at the end:\n%s", b.String())
	}
}

func TestGuardGitHub_BreaksCommandsUp(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	for _, line := range hostileLines {
		fmt.Fprintln(console.GuardGitHub(&b), strings.ReplaceAll(line, "\r", ""))
	}
	if commands, _ := gitHubCommands(b.String()); len(commands) > 0 {
		t.Errorf("commands %q in\n%s", commands, b.String())
	}
}
