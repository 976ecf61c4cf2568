package dap_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	godap "github.com/google/go-dap"

	"github.com/buildlocal/buildlocal/dap"
	"github.com/buildlocal/buildlocal/runner"
)

// conn is a connection to a client that has written everything already.
type conn struct {
	io.Reader
	io.Writer
}

// options are those of a program that starts no build.
var options = dap.Options{
	Launch: func(context.Context, map[string]json.RawMessage, io.Writer) (*dap.Build, error) {
		return nil, errors.New("no build")
	},
	Attach:  func(context.Context, string) (dap.Attached, error) { return dap.Attached{}, errors.New("no build") },
	Outline: func(context.Context, string) (*runner.Plan, error) { return nil, errors.New("no file") },
}

// serve runs a session with messages, and returns the answers.
func serve(t testing.TB, input string) []map[string]any {
	t.Helper()
	var out bytes.Buffer
	_ = dap.Serve(t.Context(), conn{strings.NewReader(input), &out}, options) // of input that is damaged
	var all []map[string]any
	for rest := out.String(); rest != ""; {
		header, body, found := strings.Cut(rest, "\r\n\r\n")
		if !found {
			t.Fatalf("output: %q", rest)
		}
		var length int
		if err := json.Unmarshal([]byte(strings.TrimPrefix(header, "Content-Length: ")), &length); err != nil {
			t.Fatalf("output: %q: %v", header, err)
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(body[:length]), &m); err != nil {
			t.Fatalf("output: %q: %v", body[:length], err)
		}
		all, rest = append(all, m), body[length:]
	}
	return all
}

// framed returns messages of the protocol.
func framed(messages ...string) string {
	var b strings.Builder
	for _, m := range messages {
		_ = godap.WriteBaseMessage(&b, []byte(m))
	}
	return b.String()
}

// TestServe_AnswersEachRequest answers requests that cannot be carried out, in their order, and numbers
// its messages.
func TestServe_AnswersEachRequest(t *testing.T) {
	t.Parallel()
	var requests []string
	commands := []string{
		"initialize", "launch", "attach", "setBreakpoints", "setFunctionBreakpoints", "setExceptionBreakpoints", "threads",
		"continue", "next", "stepIn", "stepOut", "pause", "stackTrace", "scopes", "variables", "setVariable", "source",
		"setExpression", "exceptionInfo", "loadedSources", "goto", "gotoTargets", "restartFrame", "restart", "terminate",
		"breakpointLocations", "configurationDone", "modules", "stepBack", "readMemory", "cancel", "unknown", "disconnect",
	}
	for i, command := range commands {
		arguments := map[string]any{
			"source": map[string]any{"path": "/x"}, "breakpoints": []any{map[string]any{"line": 1}},
		}
		text, err := json.Marshal(map[string]any{
			"seq": i + 1, "type": "request", "command": command, "arguments": arguments,
		})
		if err != nil {
			t.Fatal(err)
		}
		requests = append(requests, string(text))
	}
	answers := serve(t, framed(requests...))
	if len(answers) != len(commands) {
		t.Fatalf("%d answers, want %d: %v", len(answers), len(commands), answers)
	}
	for i, a := range answers {
		if a["type"] != "response" || a["seq"] != float64(i+1) || a["request_seq"] != float64(i+1) ||
			a["command"] != commands[i] {
			t.Errorf("%s: %v", commands[i], a)
		}
		if a["success"] != true && a["message"] == "" {
			t.Errorf("%s: no reason: %v", commands[i], a)
		}
	}
	capabilities, _ := answers[0]["body"].(map[string]any)
	if capabilities["supportsConditionalBreakpoints"] != true || capabilities["supportsStepBack"] != nil {
		t.Errorf("capabilities: %v", capabilities)
	}
}

// FuzzServe reads any input without a panic, and writes only messages of the protocol.
func FuzzServe(f *testing.F) {
	f.Add(framed(`{"seq":1,"type":"request","command":"initialize","arguments":{"linesStartAt1":false}}`,
		`{"seq":2,"type":"request","command":"setBreakpoints","arguments":{"breakpoints":[{"line":-1,"hitCondition":"%0"}]}}`,
		`{"seq":3,"type":"request","command":"disconnect"}`))
	f.Add(framed(`{"seq":1,"type":"request","command":"launch","arguments":[]}`, `{"type":"response"}`, `[]`, `{`))
	f.Add("Content-Length: 2\r\n\r\n{}Content-Length: x\r\n\r\n")
	f.Fuzz(func(t *testing.T, input string) { serve(t, input) })
}
