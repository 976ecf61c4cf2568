package cmd_test

import (
	"strings"
	"testing"

	"github.com/google/go-dap"
)

const dapBackSpec = `version: 0.2
phases:
  install:
    commands:
      - mkdir made; echo installed >>made/log; export N=1
  pre_build:
    commands:
      - echo prepared >>made/log; export N=$((N+1)); cd made
      - echo again >>log
  build:
    commands:
      - echo built >>log; echo "N is $N, $(tr '\n' ' ' <log)"; echo more >file
      - echo two
      - echo "the end of $N"
`

// TestDAP_StepBack goes back from boundary to boundary of phases, and to a command that is behind. The client
// learns that it can when the first snapshot exists, and every client sees who went back.
func TestDAP_StepBack(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		env, _ := snapshotEnv(t)
		dir := sourceWith(t, dapBackSpec)
		e := newEditorWith(t, dir, env)
		arguments := launchFlags(flags)
		arguments["cwd"], arguments["snapshots"] = dir, "always"
		e.launch(arguments, 5, 13)
		at := func(reason, place string) {
			t.Helper()
			if frames := e.stops(reason); !strings.HasPrefix(frames[0].Name, place+"  ") {
				t.Fatalf("stopped at %q, want %s", frames[0].Name, place)
			}
		}
		at("breakpoint", "install:1")
		if why := e.refused("stepBack", map[string]any{"threadId": 1}); !strings.Contains(why, "first command") {
			t.Errorf("step back at the first command: %s", why)
		}
		e.setLines(13)
		e.goesOn("continue")
		if c := awaited[*dap.CapabilitiesEvent](e); !c.Body.Capabilities.SupportsStepBack {
			t.Errorf("capabilities: %+v", c.Body)
		}
		at("breakpoint", "build:2")
		e.output("N is 2, installed prepared again built")
		changed := e.values("Files changed")
		made := ""
		for path, change := range changed {
			if strings.HasSuffix(path, "/made/") {
				made = change
			}
		}
		if changed["changed by"] != "the last command" || !strings.HasPrefix(made, "A 2 files, ") {
			t.Errorf("changed files: %v", changed)
		}
		e.evaluate("touch by-hand; cd /; N=9", "repl")

		other := newEditorWith(t, dir, env)
		asked[*dap.InitializeResponse](other, "initialize", map[string]any{"adapterID": "buildlocal", "clientName": "other"})
		asked[*dap.AttachResponse](other, "attach", map[string]any{})
		asked[*dap.ConfigurationDoneResponse](other, "configurationDone", nil)
		awaited[*dap.CapabilitiesEvent](other)
		other.stops("breakpoint")

		e.goesOn("stepBack") // amid BUILD: its beginning
		at("step", "build:1")
		other.output("moved by the test")
		awaited[*dap.ContinuedEvent](other)
		other.stops("step")
		e.evaluate(`echo "$N in ${PWD##*/}:" $(ls; cat log)`, "repl")
		e.output("2 in made: log installed prepared again\n")
		for _, f := range e.stackNames() {
			if strings.Contains(f, "✓ build:") {
				t.Errorf("a command that was undone is in the stack: %s", f)
			}
		}
		other.goesOn("reverseContinue") // at the beginning of BUILD: that of PRE_BUILD
		e.output("moved by other")
		at("step", "pre_build:1")
		if why := e.refused("stepBack", map[string]any{"threadId": 1}); !strings.Contains(why, "no snapshot of a phase") {
			t.Errorf("step back without a snapshot: %s", why)
		}
		e.goesOn("continue")
		e.output("N is 2, installed prepared again built")
		at("breakpoint", "build:2")

		back := asked[*dap.GotoTargetsResponse](e, "gotoTargets", map[string]any{
			"source": map[string]any{"path": dir + "/buildspec.yml"}, "line": 9,
		}).Body.Targets
		if len(back) != 1 || !strings.HasPrefix(back[0].Label, "pre_build:2") {
			t.Fatalf("targets: %+v", back)
		}
		asked[*dap.GotoResponse](e, "goto", map[string]any{"threadId": 1, "targetId": back[0].Id})
		at("goto", "pre_build:2")
		e.evaluate(`echo "$N:" $(cat log)`, "repl")
		e.output("2: installed prepared\n")
		e.setLines()
		e.goesOn("continue")
		e.output("the end of 2")
		e.ends(0)
		if r := recordOf(t, dir); r.Status != "SUCCEEDED" || len(r.ByHand) == 0 {
			t.Errorf("the record is %s, by hand %v", r.Status, r.ByHand)
		}
	})
}

// TestDAP_StepBack_Without refuses to go back in a build without snapshots, which is as before.
func TestDAP_StepBack_Without(t *testing.T) {
	t.Parallel()
	env, _ := snapshotEnv(t)
	dir := sourceWith(t, dapBackSpec)
	e := newEditorWith(t, dir, env)
	e.launch(map[string]any{"engine": "host", "cwd": dir, "snapshots": "never"}, 13)
	e.stops("breakpoint")
	for _, command := range []string{"stepBack", "reverseContinue"} {
		if why := e.refused(command, map[string]any{"threadId": 1}); !strings.Contains(why, "snapshot") {
			t.Errorf("%s: %s", command, why)
		}
	}
	if last := e.values("Last command"); last["exit status"] != "0" || last["duration"] == "" || last["memory"] == "" ||
		last["place"] != "build:1" {
		t.Errorf("the last command: %v", last)
	}
	e.goesOn("continue")
	e.output("the end of 2")
	e.ends(0)
}
