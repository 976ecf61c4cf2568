package cmd_test

import (
	"strings"
	"testing"

	"github.com/google/go-dap"
)

const stepSpec = `version: 0.2
env:
  shell: SHELL
phases:
  build:
    commands:
      - |
        greet() {
          inner="hello $1"
          echo "$inner"
        }
        N=1
        greet you
        for i in a b; do
          echo "loop $i"
        done
        (
          echo sub
        )
        false || N=2
        export LAST=$N
      - echo "N is $LAST"
`

// TestDAP_StepIn stops on the lines of the statements of a command that bash runs, and goes on to the
// next command in other shells, which is reported.
func TestDAP_StepIn(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		if strings.Contains(strings.Join(flags, " "), "busybox") {
			return // the image has no bash
		}
		dir := sourceWith(t, strings.Replace(stepSpec, "SHELL", "bash", 1))
		e := newEditor(t, dir)
		arguments := launchFlags(flags)
		arguments["cwd"] = dir
		e.launch(arguments, 7)
		top := func(line int, name string) []dap.StackFrame {
			t.Helper()
			frames := e.stops("step")
			if frames[0].Line != line || frames[0].Name != name {
				t.Fatalf("stopped at %d %q, want %d %q", frames[0].Line, frames[0].Name, line, name)
			}
			return frames
		}
		e.stops("breakpoint")
		e.goesOn("stepIn")
		frames := top(12, "N=1")
		if !strings.HasPrefix(frames[1].Name, "build:1  greet() {") || frames[1].Line != 8 || frames[2].Name != "BUILD" {
			t.Errorf("frames: %+v", frames)
		}
		e.goesOn("stepIn")
		top(13, "greet you")
		if got := e.evaluate("$N", "hover"); got != "1" {
			t.Errorf("N is %q", got)
		}
		e.goesOn("stepIn")
		top(8, "greet you") // bash stops at the beginning of a function too
		e.goesOn("next")
		top(9, `inner="hello $1"`)
		e.goesOn("next")
		top(10, `echo "$inner"`)
		e.evaluate(`echo "seen $inner"`, "repl")
		e.output("seen hello you")
		e.goesOn("stepOut")
		e.output("hello you\n")
		top(14, "for i in a b")
		e.goesOn("next")
		top(15, `echo "loop $i"`)
		e.goesOn("next")
		e.output("loop a\n")
		top(14, "for i in a b")
		e.goesOn("next")
		top(15, `echo "loop $i"`)
		e.goesOn("stepIn")
		e.output("loop b\n")
		frames = e.stops("step")
		for frames[0].Name != "echo sub" { // versions of bash differ about the subshell itself
			e.goesOn("stepIn")
			frames = e.stops("step")
		}
		e.goesOn("next")
		e.output("sub\n")
		top(20, "false")
		e.goesOn("next")
		top(20, "N=2")
		e.goesOn("next")
		top(21, "export LAST=$N")
		e.goesOn("next")
		if frames := e.stops("step"); !strings.HasPrefix(frames[0].Name, "build:2") {
			t.Errorf("after the command: %+v", frames[0])
		}
		if changed := e.values("Changed"); changed["LAST"] != "2" || changed["bl__s"] != "" {
			t.Errorf("changed variables: %v", changed)
		}
		e.goesOn("continue")
		e.output("N is 2")
		e.ends(0)
		if r := recordOf(t, dir); len(r.ByHand) == 0 || r.ByHand[0].Kind != "command stepped through" {
			t.Errorf("by hand: %+v", r.ByHand)
		}
	})
}

// TestDAP_StepIn_Options steps through a command that changes how the shell behaves, of another user.
func TestDAP_StepIn_Options(t *testing.T) {
	t.Parallel()
	flags, works := engines(t)["docker"]
	if !works {
		t.Skip("needs an image")
	}
	dir := sourceWith(t, `version: 0.2
run-as: nobody
env:
  shell: bash
phases:
  build:
    commands:
      - |
        set -euxo pipefail
        exec 3>/dev/null; cd /tmp; IFS=:
        trap 'echo "bye $?"' EXIT
        cat <<END | tr a-z A-Z
        a text
        END
        no-such-command
        echo not reached
`)
	e := newEditor(t, dir)
	arguments := launchFlags(flags)
	arguments["cwd"] = dir
	e.launch(arguments, 8)
	e.stops("breakpoint")
	e.goesOn("stepIn")
	last := ""
	for last != "no-such-command" {
		frames := e.stops("step")
		if last = frames[0].Name; strings.Contains(last, "bl__s") || strings.Contains(last, "not reached") {
			t.Fatalf("stopped at %q", last)
		}
		e.goesOn("next")
	}
	e.output("A TEXT")
	e.stops("step") // in the command's own trap, in which bash names the command before it
	e.goesOn("continue")
	e.output("bye 127")
	frames := e.stops("exception")
	if frames[0].Line != 9 {
		t.Errorf("frames: %+v", frames)
	}
	e.goesOn("continue")
	e.ends(1)
}

// TestDebug_Step steps at the prompt, ends stepping, and reports a shell that cannot.
func TestDebug_Step(t *testing.T) {
	t.Parallel()
	if !hasSandbox(t) {
		t.Skip("needs the engine host")
	}
	dir := sourceWith(t, strings.Replace(stepSpec, "SHELL", "bash", 1))
	d := converse(t, dir, nil, "run", "--engine", "host", "--break", "build:1")
	d.expect(`\(build:1\) `)
	d.line("step")
	d.expect(`stopped in build:1, before a statement \(buildspec.yml:12\)`)
	d.expect(`N=1`)
	d.line("")
	d.expect(`buildspec.yml:13\)`)
	d.line("! echo N=$N")
	d.expect(`\nN=1\n`)
	d.line("n")
	d.expect(`hello you\n`)
	d.expect(`buildspec.yml:14\)`)
	d.line("c")
	d.expect(`loop b\n`)
	d.expect(`N is 2\n`)
	d.expect(`1 command stepped through`)
	d.ends(0)

	dir = sourceWith(t, strings.Replace(stepSpec, "SHELL", "dash", 1))
	d = converse(t, dir, nil, "run", "--engine", "host", "--break", "build:1")
	d.expect(`\(build:1\) `)
	d.line("step")
	d.expect(`build:1 is not run by bash, so it runs as a whole`)
	d.expect(`\(build:2\) `)
	d.line("q")
	d.ends(130)
}
