package cmd_test

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-dap"
)

const dapRetrySpec = `version: 0.2
phases:
  build:
    on-failure: RETRY-2
    commands:
      - echo "try"; N=7
      - echo two; [ -e ok ]
      - echo three
  post_build:
    commands:
      - echo post
      - echo "end of it"
`

// TestDAP_BreakpointKinds sets breakpoints with conditions, hit counts and messages, by place and for
// attempts.
func TestDAP_BreakpointKinds(t *testing.T) {
	t.Parallel()
	dir := sourceWith(t, dapRetrySpec)
	e := newEditor(t, dir)
	asked[*dap.InitializeResponse](e, "initialize", map[string]any{"adapterID": "buildlocal", "linesStartAt1": false})
	asked[*dap.LaunchResponse](e, "launch", map[string]any{"engine": "host", "cwd": dir})
	awaited[*dap.InitializedEvent](e)
	found := e.setPoints(
		map[string]any{"line": 5, "logMessage": "N is {N}, {$STAGE}."}, // 0-based: the first command
		map[string]any{"line": 5, "hitCondition": ">= 2", "condition": "[ -n \"$CODEBUILD_BUILD_ID\" ]"},
		map[string]any{"line": 6, "condition": "false"},
		map[string]any{"line": 6, "hitCondition": "often"},
		map[string]any{"line": 99},
	)
	for i, want := range []bool{true, true, true, false, false} {
		if found[i].Verified != want {
			t.Errorf("breakpoint %d: %+v", i, found[i])
		}
	}
	if found[0].Line != 5 || !strings.Contains(found[3].Message, "often") ||
		!strings.Contains(found[4].Message, "no command") {
		t.Errorf("breakpoints: %+v", found)
	}
	functions := asked[*dap.SetFunctionBreakpointsResponse](e, "setFunctionBreakpoints", map[string]any{
		"breakpoints": []any{map[string]any{"name": "post_build:2"}, map[string]any{"name": "biuld"}}}).Body.Breakpoints
	if !functions[0].Verified || functions[0].Line != 11 || functions[1].Verified || functions[1].Message == "" {
		t.Errorf("function breakpoints: %+v", functions)
	}
	filters := asked[*dap.SetExceptionBreakpointsResponse](e, "setExceptionBreakpoints", map[string]any{
		"filters": []string{"failure:each", "all"}}).Body.Breakpoints
	if !filters[0].Verified || filters[1].Verified {
		t.Errorf("exception breakpoints: %+v", filters)
	}
	locations := asked[*dap.BreakpointLocationsResponse](e, "breakpointLocations", map[string]any{
		"source": map[string]any{"path": filepath.Join(dir, "buildspec.yml")}, "line": 0, "endLine": 8}).Body.Breakpoints
	if len(locations) != 3 || locations[2].Line != 7 {
		t.Errorf("locations: %+v", locations)
	}
	asked[*dap.ConfigurationDoneResponse](e, "configurationDone", nil)
	e.output("N is , .")
	e.stops("exception")
	e.goesOn("continue")
	e.output("N is 7, .")
	e.stops("breakpoint") // the second attempt
	e.goesOn("continue")
	e.stops("exception")
	e.evaluate("touch ok", "repl")
	targets := asked[*dap.GotoTargetsResponse](e, "gotoTargets", map[string]any{
		"source": map[string]any{"path": filepath.Join(dir, "buildspec.yml")}, "line": 8}).Body.Targets
	if len(targets) != 1 || !strings.HasPrefix(targets[0].Label, "post_build:1") {
		t.Fatalf("targets: %+v", targets)
	}
	if m, is := e.ask("goto", map[string]any{"threadId": 1, "targetId": targets[0].Id}).(*dap.ErrorResponse); is {
		t.Fatal(m.Message)
	}
	if frames := e.stops("goto"); !strings.HasPrefix(frames[0].Name, "post_build:1") {
		t.Errorf("after the jump: %+v", frames[0])
	}
	e.goesOn("continue")
	e.output("post\n")
	frames := e.stops("function breakpoint")
	if !strings.HasPrefix(frames[0].Name, "post_build:2") || frames[0].Line != 11 {
		t.Errorf("frames: %+v", frames)
	}
	if why := e.refused("goto", map[string]any{"threadId": 1, "targetId": 1}); !strings.Contains(why, "behind") {
		t.Errorf("a jump back: %s", why)
	}
	items := func(text string) string {
		var all []string
		body := asked[*dap.CompletionsResponse](e, "completions", map[string]any{"text": text, "column": len(text) + 1}).Body
		for _, item := range body.Targets {
			all = append(all, item.Label)
		}
		return " " + strings.Join(all, " ") + " "
	}
	if got := items("echo $CODEBUILD_BUILD_I"); !strings.Contains(got, " CODEBUILD_BUILD_ID ") {
		t.Errorf("variables: %s", got)
	}
	if got := items(":wh"); got != " where " {
		t.Errorf("commands of the prompt: %s", got)
	}
	if got := items("cat build"); !strings.Contains(got, " buildspec.yml ") {
		t.Errorf("files: %s", got)
	}
	e.goesOn("continue")
	e.output("end of it")
	e.ends(0)
}

// TestDAP_Restart runs a build again with its breakpoints, and stops it.
func TestDAP_Restart(t *testing.T) {
	t.Parallel()
	dir := sourceWith(t, "version: 0.2\nphases:\n  build:\n    commands:\n      - echo one\n      - echo two\n")
	e := newEditor(t, dir)
	e.launch(map[string]any{"engine": "host", "cwd": dir, "stopOnEntry": true}, 6)
	e.stops("entry")
	e.goesOn("continue")
	e.stops("breakpoint")
	asked[*dap.RestartResponse](e, "restart", map[string]any{"arguments": map[string]any{"engine": "host", "cwd": dir}})
	frames := e.stops("breakpoint")
	if !strings.HasPrefix(frames[0].Name, "build:2") || !strings.HasSuffix(frames[2].Name, " #2") {
		t.Errorf("frames: %+v", frames)
	}
	asked[*dap.TerminateResponse](e, "terminate", nil)
	e.ends(130)
	for _, number := range []string{"1", "2"} {
		matches, _ := filepath.Glob(filepath.Join(dir, ".buildlocal/builds", number+"-*", "build.json"))
		if len(matches) != 1 {
			t.Errorf("build %s has no record", number)
		}
	}
}

// TestDAP_Gone leaves a build whose client has died at a stop to attach, and a build whose client
// disconnects ends.
func TestDAP_Gone(t *testing.T) {
	t.Parallel()
	const spec = "version: 0.2\nphases:\n  build:\n    commands:\n      - echo one\n      - echo two >file\n"
	t.Run("waits", func(t *testing.T) {
		t.Parallel()
		dir := sourceWith(t, spec)
		e := newEditor(t, dir)
		e.launch(map[string]any{"engine": "host", "cwd": dir}, 6)
		e.stops("breakpoint")
		_ = e.in.Close()
		d := converse(t, dir, nil, "attach")
		d.expect(`stopped before build:2`)
		d.expect(`\(build:2\) `)
		d.line("c")
		d.expect(`SUCCEEDED`)
		d.ends(0)
		e.exits()
	})
	t.Run("goes on after the limit", func(t *testing.T) {
		t.Parallel()
		dir := sourceWith(t, spec)
		e := newEditor(t, dir)
		e.launch(map[string]any{"engine": "host", "cwd": dir, "pause-for": "1s"}, 6)
		e.stops("breakpoint")
		_ = e.in.Close()
		e.exits()
		if r := recordOf(t, dir); r.Status != "SUCCEEDED" || len(r.ByHand) != 0 {
			t.Errorf("the build ended with %s, by hand %v", r.Status, r.ByHand)
		}
	})
	t.Run("disconnects", func(t *testing.T) {
		t.Parallel()
		dir := sourceWith(t, spec)
		e := newEditor(t, dir)
		e.launch(map[string]any{"engine": "host", "cwd": dir}, 6)
		e.stops("breakpoint")
		asked[*dap.DisconnectResponse](e, "disconnect", map[string]any{})
		e.exits()
		if r := recordOf(t, dir); r.Status != "STOPPED" {
			t.Errorf("the build ended with %s", r.Status)
		}
	})
	t.Run("before it begins", func(t *testing.T) {
		t.Parallel()
		dir := sourceWith(t, spec)
		e := newEditor(t, dir)
		asked[*dap.InitializeResponse](e, "initialize", map[string]any{"adapterID": "buildlocal"})
		asked[*dap.LaunchResponse](e, "launch", map[string]any{"engine": "host", "cwd": dir})
		_ = e.in.Close()
		e.exits()
		if left, _ := filepath.Glob(filepath.Join(dir, ".buildlocal/builds/*")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// TestDAP_Attach debugs a build of a terminal. Both may answer, and the other one sees who did.
func TestDAP_Attach(t *testing.T) {
	t.Parallel()
	dir := sourceWith(t, "version: 0.2\nphases:\n  build:\n    commands:\n"+
		"      - echo one\n      - echo two\n      - echo three\n")
	d := converse(t, dir, nil, "run", "--engine", "host", "--step")
	d.expect(`\(build:1\) `)
	e := newEditor(t, dir)
	asked[*dap.InitializeResponse](e, "initialize", map[string]any{"adapterID": "buildlocal", "clientName": "the test"})
	if why := e.refused("attach", map[string]any{"build": "999"}); !strings.Contains(why, "999") {
		t.Errorf("an unknown build: %s", why)
	}
	asked[*dap.AttachResponse](e, "attach", map[string]any{"build": "latest"})
	awaited[*dap.InitializedEvent](e)
	found := e.setLines(7)
	if !found[0].Verified || found[0].Line != 7 {
		t.Errorf("breakpoints: %+v", found)
	}
	asked[*dap.ConfigurationDoneResponse](e, "configurationDone", nil)
	if frames := e.stops("step"); !strings.HasPrefix(frames[0].Name, "build:1") {
		t.Errorf("frames: %+v", frames)
	}
	e.goesOn("continue")
	d.expect(`continued by the test`)
	d.expect(`one\n`)
	e.output("one\n")
	e.stops("step")
	d.expect(`\(build:2\) `)
	d.line("c")
	e.output("continued by ")
	awaited[*dap.ContinuedEvent](e)
	e.output("two\n")
	e.stops("breakpoint")
	e.goesOn("continue")
	d.expect(`SUCCEEDED`)
	d.ends(0)
	e.ends(0)
}

// TestDAP_Listen serves a client on a port of this host or on a socket, and refuses other addresses.
func TestDAP_Listen(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:0", "example.com:80", "127.0.0.1", "127.0.0.1:x", "unix:", ":4711"} {
		out, code := runHere(t, t.TempDir(), "dap", "--listen", address)
		if code != 2 || !strings.Contains(out, "--listen "+address) {
			t.Errorf("%s: %d %s", address, code, out)
		}
	}
	socket := "unix:" + filepath.Join(t.TempDir(), "s")
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": socket} {
		c := exec.Command("buildlocal", "dap", "--listen", address)
		c.Env = terminalEnviron()
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Process.Kill() }()
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.DialTimeout(network, strings.TrimSpace(strings.TrimPrefix(line, "listening on ")), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		for _, command := range []string{"initialize", "disconnect"} {
			text := frame(`{"seq":1,"type":"request","command":"` + command + `","arguments":{}}`)
			if _, err := conn.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
			if m, err := dap.ReadProtocolMessage(r); err != nil || !m.(dap.ResponseMessage).GetResponse().Success {
				t.Errorf("%s: %v %v", command, m, err)
			}
		}
		if err := c.Wait(); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestDAP_Shell opens a shell in a terminal of the editor, or says how to open one.
func TestDAP_Shell(t *testing.T) {
	t.Parallel()
	for _, able := range []bool{true, false} {
		dir := sourceWith(t, "version: 0.2\nphases:\n  build:\n    commands:\n      - false\n")
		e := newEditor(t, dir)
		asked[*dap.InitializeResponse](e, "initialize",
			map[string]any{"adapterID": "buildlocal", "supportsRunInTerminalRequest": able})
		asked[*dap.LaunchResponse](e, "launch", map[string]any{"engine": "host", "cwd": dir, "break": []string{"failure"}})
		asked[*dap.ConfigurationDoneResponse](e, "configurationDone", nil)
		e.stops("exception")
		seq := e.post("evaluate", map[string]any{"expression": ":shell", "context": "repl"})
		if able {
			r := awaited[*dap.RunInTerminalRequest](e)
			if len(r.Arguments.Args) != 3 || r.Arguments.Args[1] != "shell" || r.Arguments.Cwd != dir {
				t.Errorf("runInTerminal: %+v", r.Arguments)
			}
			answer := dap.RunInTerminalResponse{}
			answer.Type, answer.Command, answer.RequestSeq, answer.Success = "response", "runInTerminal", r.Seq, true
			if err := dap.WriteProtocolMessage(e.in, &answer); err != nil {
				t.Fatal(err)
			}
		} else {
			e.output("shell 1-")
		}
		if m, is := e.answer(seq, "evaluate").(*dap.ErrorResponse); is {
			t.Error(m.Message)
		}
		asked[*dap.DisconnectResponse](e, "disconnect", map[string]any{"terminateDebuggee": true})
		e.exits()
		if _, err := os.Stat(filepath.Join(dir, ".buildlocal/latest")); err != nil {
			t.Error(err)
		}
	}
}

// TestDAP_Cancel ends a command of the debug console, after which the build is as before.
func TestDAP_Cancel(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		dir := sourceWith(t, "version: 0.2\nphases:\n  build:\n    commands:\n      - echo \"A is $A\"\n")
		e := newEditor(t, dir)
		arguments := launchFlags(flags)
		arguments["cwd"] = dir
		e.launch(arguments, 5)
		e.stops("breakpoint")
		e.evaluate("A=before", "repl")
		seq := e.post("evaluate", map[string]any{"expression": "echo begun; sleep 1000", "context": "repl"})
		e.output("begun\n")
		e.post("cancel", map[string]any{"requestId": seq})
		if m, is := e.answer(seq, "evaluate").(*dap.EvaluateResponse); is {
			t.Errorf("a canceled command succeeds: %+v", m)
		}
		e.evaluate("echo again $A", "repl")
		e.output("again before")
		e.goesOn("continue")
		e.output("A is before")
		e.ends(0)
	})
}

// TestDAP_Attach_Several debugs a build with two editors. One leaves it, and the other one stops it.
func TestDAP_Attach_Several(t *testing.T) {
	t.Parallel()
	dir := sourceWith(t, "version: 0.2\nphases:\n  build:\n    commands:\n      - echo one\n      - echo two\n")
	d := converse(t, dir, nil, "run", "--engine", "host", "--step")
	d.expect(`\(build:1\) `)
	var all []*editor
	for _, name := range []string{"first", "second"} {
		e := newEditor(t, dir)
		asked[*dap.InitializeResponse](e, "initialize", map[string]any{"adapterID": "buildlocal", "clientName": name})
		asked[*dap.AttachResponse](e, "attach", map[string]any{})
		awaited[*dap.InitializedEvent](e)
		asked[*dap.ConfigurationDoneResponse](e, "configurationDone", nil)
		e.stops("step")
		all = append(all, e)
	}
	if why := all[0].refused("attach", map[string]any{}); !strings.Contains(why, "already") {
		t.Errorf("attached twice: %s", why)
	}
	all[0].evaluate("B=5", "repl")
	all[0].goesOn("next")
	all[1].output("continued by first")
	awaited[*dap.ContinuedEvent](all[1])
	all[1].output("one\n")
	for _, e := range all {
		e.stops("step")
	}
	if got := all[1].values("Changed"); got["B"] != "5" {
		t.Errorf("changed variables: %v", got)
	}
	asked[*dap.DisconnectResponse](all[0], "disconnect", nil)
	all[0].exits()
	stack := asked[*dap.StackTraceResponse](all[1], "stackTrace", map[string]any{"threadId": 1})
	if len(stack.Body.StackFrames) == 0 {
		t.Error("the build has gone on")
	}
	asked[*dap.TerminateResponse](all[1], "terminate", nil)
	d.ends(130)
	all[1].ends(130)
}
