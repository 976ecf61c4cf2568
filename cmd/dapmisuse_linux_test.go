package cmd_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-dap"
)

// dapWaitSpec has a command that runs until a file exists.
const dapWaitSpec = `version: 0.2
phases:
  build:
    commands:
      - echo one
      - echo waits; until [ -e go ]; do sleep 0.02; done
      - echo three
`

// TestDAP_Early refuses requests before initialize, and goes on.
func TestDAP_Early(t *testing.T) {
	t.Parallel()
	dir := sourceWith(t, dapWaitSpec)
	e := newEditor(t, dir)
	for _, command := range []string{"launch", "attach", "configurationDone", "threads", "terminate", "evaluate"} {
		if why := e.refused(command, map[string]any{"cwd": dir}); !strings.Contains(why, "initialize") {
			t.Errorf("%s: %s", command, why)
		}
	}
	e.launch(map[string]any{"engine": "host", "cwd": dir}, 5)
	e.stops("breakpoint")
	if why := e.refused("initialize", map[string]any{"adapterID": "buildlocal"}); !strings.Contains(why, "already") {
		t.Errorf("initialize: %s", why)
	}
	if why := e.refused("launch", map[string]any{"cwd": dir}); !strings.Contains(why, "launched already") {
		t.Errorf("launch: %s", why)
	}
	asked[*dap.ConfigurationDoneResponse](e, "configurationDone", nil) // a second time
	asked[*dap.DisconnectResponse](e, "disconnect", nil)
	e.exits()
	if all, _ := filepath.Glob(filepath.Join(dir, ".buildlocal/builds/*-*")); len(all) != 1 {
		t.Errorf("builds: %v", all)
	}
}

// TestDAP_UnknownReferences refuses numbers and files that do not exist, and names them.
func TestDAP_UnknownReferences(t *testing.T) {
	t.Parallel()
	dir := sourceWith(t, dapWaitSpec)
	writeSource(t, dir, map[string]string{"go": "", "README.md": "# read me\n"})
	e := newEditor(t, dir)
	asked[*dap.InitializeResponse](e, "initialize", map[string]any{"adapterID": "buildlocal"})
	points := func(path string) dap.Breakpoint {
		t.Helper()
		return asked[*dap.SetBreakpointsResponse](e, "setBreakpoints", map[string]any{
			"source": map[string]any{"path": path}, "breakpoints": []any{map[string]any{"line": 1}},
		}).Body.Breakpoints[0]
	}
	others := []string{filepath.Join(dir, "README.md"), filepath.Join(dir, "none.yml"), dir, "/dev/zero", "\x00"}
	for _, path := range others {
		if b := points(path); b.Verified || b.Message == "" {
			t.Errorf("%q before the launch: %+v", path, b)
		}
	}
	asked[*dap.LaunchResponse](e, "launch", map[string]any{"engine": "host", "cwd": dir})
	for _, path := range others {
		if b := points(path); b.Verified || !strings.Contains(b.Message, "buildspec.yml") {
			t.Errorf("%q after the launch: %+v", path, b)
		}
	}
	e.setLines(6)
	asked[*dap.ConfigurationDoneResponse](e, "configurationDone", nil)
	e.stops("breakpoint")
	source := map[string]any{"path": filepath.Join(dir, "buildspec.yml")}
	for _, test := range []struct {
		command, part string
		arguments     map[string]any
	}{
		{"stackTrace", "thread 7", map[string]any{"threadId": 7}},
		{"continue", "thread 7", map[string]any{"threadId": 7}},
		{"stepBack", "thread -1", map[string]any{"threadId": -1}},
		{"scopes", "frame 99", map[string]any{"frameId": 99}},
		{"scopes", "frame 0", map[string]any{}},
		{"evaluate", "frame 99", map[string]any{"expression": "$PATH", "context": "hover", "frameId": 99}},
		{"variables", "reference 99", map[string]any{"variablesReference": 99}},
		{"variables", "reference 0", map[string]any{}},
		{"setVariable", "reference 99", map[string]any{"variablesReference": 99, "name": "A", "value": "1"}},
		{"setVariable", "place is not a variable", map[string]any{"variablesReference": 5, "name": "place", "value": "1"}},
		{"setVariable", "not the name", map[string]any{"variablesReference": 1, "name": "A;B", "value": "1"}},
		{"setExpression", "not the name", map[string]any{"expression": "$(touch x)", "value": "1"}},
		{"restartFrame", "only the command", map[string]any{"frameId": 99}},
		{"goto", "target 99", map[string]any{"threadId": 1, "targetId": 99}},
		{"goto", "target -1", map[string]any{"threadId": 1, "targetId": -1}},
		{"gotoTargets", "no command on this line", map[string]any{"source": source, "line": 9999}},
		{"source", "source 5", map[string]any{"sourceReference": 5}},
	} {
		if why := e.refused(test.command, test.arguments); !strings.Contains(why, test.part) {
			t.Errorf("%s %v: %s", test.command, test.arguments, why)
		}
	}
	for _, levels := range []map[string]any{
		{"threadId": 1, "startFrame": 1 << 40}, {"threadId": 1, "startFrame": -5, "levels": -5},
	} {
		asked[*dap.StackTraceResponse](e, "stackTrace", levels)
	}
	asked[*dap.CompletionsResponse](e, "completions", map[string]any{"text": "e", "column": -9})
	asked[*dap.CompletionsResponse](e, "completions", map[string]any{"text": "e", "column": 1 << 40})
	asked[*dap.CancelResponse](e, "cancel", map[string]any{"requestId": 12345})
	e.goesOn("continue")
	e.ends(0)
}

// TestDAP_Over refuses requests after the end of the build, and starts it again.
func TestDAP_Over(t *testing.T) {
	t.Parallel()
	dir := sourceWith(t, dapWaitSpec)
	writeSource(t, dir, map[string]string{"go": ""})
	e := newEditor(t, dir)
	e.launch(map[string]any{"engine": "host", "cwd": dir}, 6)
	e.stops("breakpoint")
	e.goesOn("continue")
	awaited[*dap.TerminatedEvent](e)
	for _, command := range []string{"stackTrace", "stepBack", "continue", "scopes", "evaluate", "setExpression"} {
		why := e.refused(command, map[string]any{"expression": "echo late", "context": "repl", "frameId": 1})
		if !strings.Contains(why, "the build has ended") {
			t.Errorf("%s: %s", command, why)
		}
	}
	asked[*dap.TerminateResponse](e, "terminate", nil)
	asked[*dap.RestartResponse](e, "restart", nil)
	e.stops("breakpoint")
	asked[*dap.DisconnectResponse](e, "disconnect", nil)
	e.exits()
	if r := recordOf(t, dir); len(r.ByHand) != 0 {
		t.Errorf("by hand: %v", r.ByHand)
	}
}

// TestDAP_Huge handles large messages, values and output.
func TestDAP_Huge(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		dir := sourceWith(t, dapWaitSpec)
		writeSource(t, dir, map[string]string{"go": ""})
		e := newEditor(t, dir)
		arguments := launchFlags(flags)
		arguments["cwd"] = dir
		e.launch(arguments, 6)
		e.stops("breakpoint")
		many := make([]any, 20000)
		for i := range many {
			many[i] = map[string]any{"line": i}
		}
		if found := e.setPoints(many...); len(found) != len(many) {
			t.Errorf("%d breakpoints", len(found))
		}
		e.setPoints()
		long := strings.Repeat("x", 1<<20)
		e.evaluate("X="+long+"; echo ${#X}; unset X", "repl")
		e.output("1048576\n")
		for _, command := range []string{
			"i=0; while [ $i -lt 16384 ]; do echo " + strings.Repeat("y", 63) + "; i=$((i+1)); done; echo end",
			"head -c 1048576 /dev/zero | tr '\\0' z; echo end",
		} {
			e.evaluate(command, "repl")
			e.output("end\n")
		}
		if m, is := e.ask("setVariable", map[string]any{
			"variablesReference": 1, "name": "BIG", "value": strings.Repeat("b", 100000),
		}).(*dap.ErrorResponse); is {
			t.Errorf("a large value: %s", m.Message)
		}
		if got := e.evaluate("${#BIG}", "watch"); got != "100000" {
			t.Errorf("the length is %s", got)
		}
		e.goesOn("continue")
		e.output("three\n")
		e.ends(0)
	})
}

// TestDAP_StepAtOnce lets two clients answer the same stop: one answer counts.
func TestDAP_StepAtOnce(t *testing.T) {
	t.Parallel()
	dir := sourceWith(t, dapWaitSpec)
	first := newEditor(t, dir)
	first.launch(map[string]any{"engine": "host", "cwd": dir}, 6)
	first.stops("breakpoint")
	second := newEditor(t, dir)
	asked[*dap.InitializeResponse](second, "initialize", map[string]any{"adapterID": "buildlocal", "clientName": "other"})
	asked[*dap.AttachResponse](second, "attach", map[string]any{})
	asked[*dap.ConfigurationDoneResponse](second, "configurationDone", nil)
	second.stops("breakpoint")
	one, two := first.post("next", map[string]any{"threadId": 1}), second.post("next", map[string]any{"threadId": 1})
	refused := 0
	for _, answer := range []dap.Message{first.answer(one, "next"), second.answer(two, "next")} {
		if m, is := answer.(*dap.ErrorResponse); is {
			refused++
			if !strings.Contains(m.Message, "gone on") && !strings.Contains(m.Message, "running") {
				t.Errorf("refused: %s", m.Message)
			}
		}
	}
	if refused != 1 {
		t.Errorf("%d of 2 answers were refused", refused)
	}
	second.evaluate("touch go", "repl")
	for _, e := range []*editor{first, second} {
		if frames := e.stops("step"); !strings.HasPrefix(frames[0].Name, "build:3") {
			t.Errorf("frames: %+v", frames[0])
		}
	}
	second.goesOn("continue")
	second.ends(0)
	first.ends(0)
}

// TestDAP_LeaveAtOnce ends sessions at moments at which something is under way: nothing is left.
func TestDAP_LeaveAtOnce(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		for name, leave := range map[string]func(e *editor){
			"terminate while provisioning": func(e *editor) {
				e.post("configurationDone", nil)
				asked[*dap.TerminateResponse](e, "terminate", nil)
				e.ends(130)
			},
			"disconnect while provisioning": func(e *editor) {
				e.post("configurationDone", nil)
				asked[*dap.DisconnectResponse](e, "disconnect", nil)
				e.exits()
			},
			"disconnect before it begins": func(e *editor) {
				asked[*dap.DisconnectResponse](e, "disconnect", nil)
				e.exits()
			},
			"disconnect after an answer": func(e *editor) {
				e.post("configurationDone", nil)
				e.stops("breakpoint")
				e.post("continue", map[string]any{"threadId": 1})
				asked[*dap.DisconnectResponse](e, "disconnect", nil)
				e.exits()
			},
			"terminate amid an evaluation": func(e *editor) {
				e.post("configurationDone", nil)
				e.stops("breakpoint")
				e.post("evaluate", map[string]any{"expression": "echo begun; sleep 1000", "context": "repl"})
				e.output("begun\n")
				asked[*dap.TerminateResponse](e, "terminate", nil)
				asked[*dap.TerminateResponse](e, "terminate", nil)
				e.ends(130)
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				dir := sourceWith(t, dapWaitSpec)
				e := newEditor(t, dir)
				arguments := launchFlags(flags)
				arguments["cwd"] = dir
				asked[*dap.InitializeResponse](e, "initialize", map[string]any{"adapterID": "buildlocal"})
				asked[*dap.LaunchResponse](e, "launch", arguments)
				e.setLines(6)
				leave(e)
				if out, code := runWith(t, dir, nil, "ps"); code != 0 || strings.Contains(out, dir) {
					t.Errorf("ps: exit %d\n%s", code, out)
				}
			})
		}
	})
}

// TestDAP_TooLong ends the session after a message that is too long. The client learns why and need not wait
// for its message to be read, and the build waits for another terminal.
func TestDAP_TooLong(t *testing.T) {
	t.Parallel()
	dir := sourceWith(t, dapWaitSpec)
	e := newEditor(t, dir)
	e.launch(map[string]any{"engine": "host", "cwd": dir}, 6)
	e.stops("breakpoint")
	e.post("evaluate", map[string]any{"expression": ": " + strings.Repeat("x", 30<<20), "context": "repl"})
	e.output("error: read from the client")
	awaited[*dap.TerminatedEvent](e)
	d := converse(t, dir, nil, "attach")
	d.expect(`\(build:2\) `)
	d.line("q")
	d.ends(130)
	_ = e.in.Close()
	<-e.done
}
