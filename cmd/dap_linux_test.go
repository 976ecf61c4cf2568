package cmd_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-dap"
)

const dapSpec = `version: 0.2
env:
  variables:
    STAGE: dev
  secrets-manager:
    TOKEN: app/token
phases:
  pre_build:
    commands:
      - export TAG=v1
      - cd .
  build:
    commands:
      # a comment
      - |
        echo "stage $STAGE"
        echo "second $TAG"
      - echo "V is $V"; echo "token $TOKEN"
      - echo last
`

// dapSource is a source with a secret.
func dapSource(t *testing.T, spec string) string {
	t.Helper()
	dir := sourceWith(t, spec)
	text := []byte("secrets-manager:\n  app/token: canary-123\n")
	if err := os.WriteFile(filepath.Join(dir, "secrets.yml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// launchFlags are the arguments of a launch on an engine.
func launchFlags(flags []string) map[string]any {
	all := map[string]any{}
	for i := 0; i+1 < len(flags); i += 2 {
		name := strings.TrimLeft(flags[i], "-")
		if name == "i" {
			name = "image"
		}
		all[name] = flags[i+1]
	}
	return all
}

// TestDAP_Breakpoints stops at lines that are verified before the build begins, looks at the state,
// changes it and goes on.
func TestDAP_Breakpoints(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		dir := dapSource(t, dapSpec)
		e := newEditor(t, dir)
		asked[*dap.InitializeResponse](e, "initialize", map[string]any{"adapterID": "buildlocal", "clientName": "the test"})
		early := e.setLines(14)
		if !early[0].Verified || early[0].Line != 16 || early[0].EndLine != 17 {
			t.Fatalf("the breakpoint before launch: %+v", early[0])
		}
		arguments := launchFlags(flags)
		arguments["program"], arguments["cwd"], arguments["secrets"] = "buildspec.yml", dir, "secrets.yml"
		arguments["env"] = map[string]any{"GREETING": "hello"}
		asked[*dap.LaunchResponse](e, "launch", arguments)
		if changed := awaited[*dap.BreakpointEvent](e).Body.Breakpoint; changed.Id != early[0].Id || changed.Line != 16 {
			t.Errorf("the breakpoint after launch: %+v", changed)
		}
		awaited[*dap.InitializedEvent](e)
		if again := e.setLines(14)[0]; !again.Verified || again.Line != 16 {
			t.Errorf("the breakpoint of a launched build: %+v", again)
		}
		asked[*dap.ConfigurationDoneResponse](e, "configurationDone", nil)
		frames := e.stops("breakpoint")
		if len(frames) < 5 || !strings.HasPrefix(frames[0].Name, "build:1  echo") || frames[0].Line != 16 ||
			frames[0].Source.Path != filepath.Join(dir, "buildspec.yml") || frames[1].Name != "BUILD" ||
			!strings.HasSuffix(frames[2].Name, " #1") || !strings.HasPrefix(frames[3].Name, "✓ pre_build:2") {
			t.Errorf("frames: %+v", frames)
		}
		if threads := asked[*dap.ThreadsResponse](e, "threads", nil).Body.Threads; len(threads) != 1 {
			t.Errorf("threads: %+v", threads)
		}
		if all := e.values("Variables"); all["STAGE"] != "dev" || all["GREETING"] != "hello" || all["TOKEN"] != "" {
			t.Errorf("variables: %v", all)
		}
		if changed := e.values("Changed"); changed["TAG"] != "v1" || len(changed) != 1 {
			t.Errorf("changed variables: %v", changed)
		}
		if secrets := e.values("Secrets"); secrets["TOKEN"] != "***" {
			t.Errorf("secrets: %v", secrets)
		}
		if service := e.values("CodeBuild"); !strings.Contains(service["CODEBUILD_BUILD_ID"], ":") {
			t.Errorf("variables of CodeBuild: %v", service)
		}
		if last := e.values("Last command"); last["place"] != "pre_build:2" || last["exit status"] != "0" {
			t.Errorf("the last command: %v", last)
		}
		if facts := e.values("Build"); facts["directory"] == "" || facts["build"] == "" {
			t.Errorf("the build: %v", facts)
		}
		set := asked[*dap.SetVariableResponse](e, "setVariable",
			map[string]any{"variablesReference": 1, "name": "V", "value": `it's "$5"`})
		if set.Body.Value != `it's "$5"` {
			t.Errorf("set to %q", set.Body.Value)
		}
		e.evaluate(`echo "now $V"; W=6`, "repl")
		e.output(`now it's "$5"`)
		e.evaluate("echo $TOKEN", "repl")
		e.output("***\n")
		for expression, want := range map[string]string{
			"$V": `it's "$5"`, "STAGE": "dev", "${STAGE%v}": "de", "$TOKEN": "***", "${TOKEN#can}": "***", "$W": "6",
		} {
			if got := e.evaluate(expression, "hover"); got != want {
				t.Errorf("%s is %q, want %q", expression, got, want)
			}
		}
		for _, expression := range []string{"echo x", "${V:-$(touch ran)}", "${V:-`touch ran`}", "$NONE", `${V"}`} {
			if why := e.refused("evaluate", map[string]any{"expression": expression, "context": "watch"}); why == "" {
				t.Errorf("%s: no reason", expression)
			}
		}
		e.evaluate(":break build:3", "repl")
		e.output("breakpoint")
		e.goesOn("next")
		e.output("stage dev")
		e.output("second v1")
		e.stops("step")
		e.goesOn("continue")
		e.output(`V is it's "$5"`)
		e.output("token ***")
		e.stops("breakpoint")
		e.goesOn("continue")
		e.output("SUCCEEDED")
		e.ends(0)
		if r := recordOf(t, dir); len(r.ByHand) == 0 {
			t.Error("the build is not recorded as changed by hand")
		}
	})
}

// TestDAP_RestartFrame runs a failed command with the text that is on disk now.
func TestDAP_RestartFrame(t *testing.T) {
	t.Parallel()
	dir := sourceWith(t, "version: 0.2\nphases:\n  build:\n    commands:\n      - echo begin; false\n      - echo end\n")
	e := newEditor(t, dir)
	e.launch(map[string]any{"engine": "host", "cwd": dir})
	frames := e.stops("exception")
	if !frames[0].CanRestart {
		t.Errorf("the frame cannot be run again: %+v", frames[0])
	}
	info := asked[*dap.ExceptionInfoResponse](e, "exceptionInfo", map[string]any{"threadId": 1}).Body
	if info.ExceptionId != "exit status 1" || info.Details == nil || !strings.Contains(info.Details.StackTrace, "begin") {
		t.Errorf("exceptionInfo: %+v", info)
	}
	file := filepath.Join(dir, "buildspec.yml")
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, []byte(strings.Replace(string(text), "false", "echo repaired", 1)), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if m, is := e.ask("restartFrame", map[string]any{"frameId": frames[0].Id}).(*dap.ErrorResponse); is {
		t.Fatal(m.Message)
	}
	e.output("+ echo begin; echo repaired")
	e.output("repaired\n")
	e.output("end\n")
	e.ends(0)
}

// TestDAP_Pause suspends a command, looks into the build meanwhile, and lets it go on. A server of
// an earlier command is not suspended.
func TestDAP_Pause(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		dir := sourceWith(t, `version: 0.2
phases:
  build:
    commands:
      - "(while :; do echo tick >>ticks; sleep 0.05; done) & echo $! >pid"
      - "echo started; (n=0; until [ -e end ]; do n=$((n+1)); echo $n >count; sleep 0.02; done); echo went on"
      - kill $(cat pid)
`)
		e := newEditor(t, dir)
		arguments := launchFlags(flags)
		arguments["cwd"] = dir
		e.launch(arguments)
		e.output("started")
		e.goesOn("pause")
		e.stops("pause")
		const script = `a=$(cat count); t=$(wc -l <ticks); n=0
while [ "$(wc -l <ticks)" -lt $((t + 3)) ]; do n=$((n + 1)); [ $n -lt 500 ] || break; sleep 0.02; done
[ "$a" = "$(cat count)" ] && [ $n -lt 500 ] && echo suspended`
		e.evaluate(script, "repl")
		e.output("suspended")
		e.evaluate("touch end", "repl")
		if why := e.refused("setVariable", map[string]any{"variablesReference": 1, "name": "A", "value": "1"}); why == "" {
			t.Error("a variable of a running command is set")
		}
		e.goesOn("continue")
		e.output("went on")
		e.ends(0)
	})
}

// TestDAP_Pause_Terminate stops a build while its command is suspended.
func TestDAP_Pause_Terminate(t *testing.T) {
	t.Parallel()
	dir := sourceWith(t, "version: 0.2\nphases:\n  build:\n    commands:\n      - echo started; sleep 1000\n")
	e := newEditor(t, dir)
	e.launch(map[string]any{"engine": "host", "cwd": dir})
	e.output("sleep 1000")
	e.output("started\n")
	e.goesOn("pause")
	if frames := e.stops("pause"); !strings.HasPrefix(frames[0].Name, "build:1") {
		t.Errorf("frames: %+v", frames)
	}
	if why := e.refused("pause", map[string]any{"threadId": 1}); !strings.Contains(why, "stopped already") {
		t.Errorf("paused twice: %s", why)
	}
	asked[*dap.TerminateResponse](e, "terminate", nil)
	e.ends(130)
}

// TestDAP_Launch_WrongArguments reports all mistakes in one response, and starts nothing.
func TestDAP_Launch_WrongArguments(t *testing.T) {
	t.Parallel()
	dir := sourceWith(t, "version: 0.2\nphases:\n  build:\n    commands: [true]\n")
	e := newEditor(t, dir)
	asked[*dap.InitializeResponse](e, "initialize", map[string]any{"adapterID": "buildlocal"})
	why := e.refused("launch", map[string]any{
		"type": "buildlocal", "name": "x", "__sessionId": "1", "cwd": dir, "imag": "node", "privileged": "perhaps",
		"break": []string{"biuld"}, "timeout": "soon", "env": []any{map[string]any{}},
	})
	for _, part := range []string{"imag", "did you mean", "privileged", "biuld", "soon", "env"} {
		if !strings.Contains(why, part) {
			t.Errorf("the error does not name %s:\n%s", part, why)
		}
	}
	for _, command := range []string{"configurationDone", "continue", "stackTrace", "evaluate", "pause", "restart"} {
		if e.refused(command, map[string]any{"threadId": 1}) == "" {
			t.Errorf("%s: no reason", command)
		}
	}
	asked[*dap.DisconnectResponse](e, "disconnect", nil)
	e.exits()
	if _, err := os.Stat(filepath.Join(dir, ".buildlocal")); err == nil {
		t.Error("a build was started")
	}
}

// TestDAP_Garbage reads messages that are not of the protocol: the session goes on after those with a
// frame, and ends after others.
func TestDAP_Garbage(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		ends bool
	}{
		"no JSON":           {text: "Content-Length: 5\r\n\r\nhello"},
		"other type":        {text: "Content-Length: 11\r\n\r\n{\"seq\":\"x\"}"},
		"unknown request":   {text: frame(`{"seq":9,"type":"request","command":"launched"}`)},
		"wrong arguments":   {text: frame(`{"seq":9,"type":"request","command":"setBreakpoints","arguments":[1,2]}`)},
		"deep":              {text: frame(strings.Repeat("[", 100000))},
		"response":          {text: frame(`{"seq":9,"type":"response","command":"runInTerminal","request_seq":7}`)},
		"early end":         {text: "Content-Length: 100\r\n\r\n{", ends: true},
		"no header":         {text: "hello\r\n\r\n", ends: true},
		"enormous":          {text: "Content-Length: 99999999999\r\n\r\n", ends: true},
		"negative":          {text: "Content-Length: -1\r\n\r\n", ends: true},
		"zeros and nothing": {text: "\x00\x00\x00\x00", ends: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEditor(t, t.TempDir())
			if _, err := io.WriteString(e.in, test.text); err != nil {
				t.Fatal(err)
			}
			if test.ends {
				_ = e.in.Close()
				<-e.done
				return
			}
			asked[*dap.InitializeResponse](e, "initialize", map[string]any{"adapterID": "buildlocal"})
			asked[*dap.DisconnectResponse](e, "disconnect", nil)
			e.exits()
		})
	}
}

// frame returns a message of the protocol with a text.
func frame(text string) string {
	var b strings.Builder
	_ = dap.WriteBaseMessage(&b, []byte(text))
	return b.String()
}
