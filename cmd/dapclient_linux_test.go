package cmd_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-dap"
)

// editor is a client of buildlocal dap.
type editor struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	done chan struct{} // closed when the program has ended
	errs *os.File      // its standard error
	rest string        // output that was not looked at

	mu      sync.Mutex
	seq     int
	all     []dap.Message // that have arrived and were not taken
	changed chan struct{} // closed when one arrives
	ended   bool          // the output has ended
}

// editorTimeout is how long a test waits for a message.
const editorTimeout = 60 * time.Second

// newEditor starts buildlocal dap in a directory.
func newEditor(t *testing.T, dir string, args ...string) *editor {
	t.Helper()
	return newEditorWith(t, dir, nil, args...)
}

// newEditorWith is newEditor with more variables.
func newEditorWith(t *testing.T, dir string, env []string, args ...string) *editor {
	t.Helper()
	e := &editor{t: t, done: make(chan struct{}), changed: make(chan struct{})}
	e.cmd = exec.Command("buildlocal", append([]string{"dap"}, args...)...)
	e.cmd.Dir, e.cmd.Env = dir, append(append(terminalEnviron(), "CI="), env...)
	var err error
	if e.errs, err = os.Create(filepath.Join(t.TempDir(), "stderr")); err != nil {
		t.Fatal(err)
	}
	e.cmd.Stderr = e.errs
	in, err := e.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	e.in = in
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() { defer close(read); e.read(out) }()
	go func() { <-read; _ = e.cmd.Wait(); close(e.done) }()
	t.Cleanup(func() {
		_ = e.cmd.Process.Kill()
		<-e.done
		if text, _ := os.ReadFile(e.errs.Name()); len(text) > 0 {
			t.Logf("standard error:\n%s", text)
			if strings.Contains(string(text), "DATA RACE") || strings.Contains(string(text), "panic:") {
				t.Error("the program has panicked, or has a race")
			}
		}
	})
	return e
}

// read collects the messages of the program.
func (e *editor) read(out io.Reader) {
	r := bufio.NewReader(out)
	for {
		m, err := dap.ReadProtocolMessage(r)
		e.mu.Lock()
		if e.ended = err != nil; !e.ended {
			e.all = append(e.all, m)
		}
		close(e.changed)
		e.changed = make(chan struct{})
		e.mu.Unlock()
		if err != nil {
			if err != io.EOF {
				e.t.Errorf("output: %v", err)
			}
			_, _ = io.Copy(io.Discard, r)
			return
		}
	}
}

// take returns the first message for which is returns true, and removes it. It waits for it.
func (e *editor) take(what string, is func(dap.Message) bool) dap.Message {
	e.t.Helper()
	timeout := time.After(editorTimeout)
	for {
		e.mu.Lock()
		at := slices.IndexFunc(e.all, is)
		if at >= 0 {
			m := e.all[at]
			e.all = slices.Delete(e.all, at, at+1)
			e.mu.Unlock()
			return m
		}
		changed, ended := e.changed, e.ended
		e.mu.Unlock()
		if ended {
			e.t.Fatalf("the program has ended before %s; there are\n%s", what, e.waiting())
		}
		select {
		case <-changed:
		case <-timeout:
			e.t.Fatalf("no %s; there are\n%s", what, e.waiting())
		}
	}
}

// waiting returns the messages that were not taken.
func (e *editor) waiting() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []string
	for _, m := range e.all {
		text, _ := json.Marshal(m)
		all = append(all, string(text))
	}
	return strings.Join(all, "\n")
}

// post sends a request and returns its number.
func (e *editor) post(command string, arguments any) int {
	e.t.Helper()
	e.mu.Lock()
	e.seq++
	seq := e.seq
	e.mu.Unlock()
	text, err := json.Marshal(map[string]any{
		"seq": seq, "type": "request", "command": command, "arguments": arguments,
	})
	if err == nil {
		err = dap.WriteBaseMessage(e.in, text)
	}
	if err != nil {
		e.t.Fatalf("%s: %v", command, err)
	}
	return seq
}

// ask makes a request and returns the response, which may be an error.
func (e *editor) ask(command string, arguments any) dap.Message {
	e.t.Helper()
	return e.answer(e.post(command, arguments), command)
}

// answer waits for the response to a request.
func (e *editor) answer(seq int, command string) dap.Message {
	e.t.Helper()
	return e.take("response to "+command, func(m dap.Message) bool {
		r, is := m.(dap.ResponseMessage)
		return is && r.GetResponse().RequestSeq == seq
	})
}

// asked makes a request that succeeds, and returns the response.
func asked[R dap.Message](e *editor, command string, arguments any) R {
	e.t.Helper()
	m := e.ask(command, arguments)
	r, is := m.(R)
	if !is {
		text, _ := json.Marshal(m)
		e.t.Fatalf("%s %v: %s", command, arguments, text)
	}
	return r
}

// refused makes a request that fails, and returns the message.
func (e *editor) refused(command string, arguments any) string {
	e.t.Helper()
	m := e.ask(command, arguments)
	r, is := m.(*dap.ErrorResponse)
	if !is {
		e.t.Fatalf("%s %v succeeds: %+v", command, arguments, m)
	}
	return r.Message
}

// awaited waits for an event of a type.
func awaited[E dap.Message](e *editor) E {
	e.t.Helper()
	var none E
	m := e.take(fmt.Sprintf("%T", none), func(m dap.Message) bool { _, is := m.(E); return is })
	return m.(E)
}

// output waits until the output has a text, and drops the output up to it.
func (e *editor) output(text string) {
	e.t.Helper()
	for {
		if at := strings.Index(e.rest, text); at >= 0 {
			e.rest = e.rest[at+len(text):]
			return
		}
		const shown = 500
		m := e.take(fmt.Sprintf("output %q after %q", text, e.rest[max(0, len(e.rest)-shown):]), func(m dap.Message) bool {
			_, is := m.(*dap.OutputEvent)
			return is
		})
		e.rest += m.(*dap.OutputEvent).Body.Output
	}
}

// stops waits until the build has stopped, and returns the reason and the frames.
func (e *editor) stops(reason string) []dap.StackFrame {
	e.t.Helper()
	s := awaited[*dap.StoppedEvent](e)
	if s.Body.Reason != reason {
		e.t.Fatalf("stopped because of %q (%s), want %q", s.Body.Reason, s.Body.Description, reason)
	}
	return asked[*dap.StackTraceResponse](e, "stackTrace", map[string]any{"threadId": 1}).Body.StackFrames
}

// launch starts a build. Breakpoints are set after the build is known.
func (e *editor) launch(arguments map[string]any, lines ...int) []dap.Breakpoint {
	e.t.Helper()
	asked[*dap.InitializeResponse](e, "initialize", map[string]any{"adapterID": "buildlocal", "clientName": "the test"})
	asked[*dap.LaunchResponse](e, "launch", arguments)
	awaited[*dap.InitializedEvent](e)
	found := e.setLines(lines...)
	asked[*dap.SetExceptionBreakpointsResponse](e, "setExceptionBreakpoints",
		map[string]any{"filters": []string{"failure", "breakpoint"}})
	asked[*dap.ConfigurationDoneResponse](e, "configurationDone", nil)
	return found
}

// setLines sets breakpoints on lines of the buildspec.
func (e *editor) setLines(lines ...int) []dap.Breakpoint {
	e.t.Helper()
	points := []any{}
	for _, line := range lines {
		points = append(points, map[string]any{"line": line})
	}
	return e.setPoints(points...)
}

// setPoints sets breakpoints of the buildspec.
func (e *editor) setPoints(points ...any) []dap.Breakpoint {
	e.t.Helper()
	return asked[*dap.SetBreakpointsResponse](e, "setBreakpoints", map[string]any{
		"source": map[string]any{"path": filepath.Join(e.cmd.Dir, "buildspec.yml")}, "breakpoints": points,
	}).Body.Breakpoints
}

// goesOn makes a request after which the build runs.
func (e *editor) goesOn(command string) {
	e.t.Helper()
	if m, is := e.ask(command, map[string]any{"threadId": 1}).(*dap.ErrorResponse); is {
		e.t.Fatalf("%s: %s", command, m.Message)
	}
}

// ends waits until the build has ended, disconnects, and waits for the program.
func (e *editor) ends(code int) {
	e.t.Helper()
	if got := awaited[*dap.ExitedEvent](e).Body.ExitCode; got != code {
		e.t.Errorf("exit code %d, want %d", got, code)
	}
	awaited[*dap.TerminatedEvent](e)
	asked[*dap.DisconnectResponse](e, "disconnect", map[string]any{})
	e.exits()
}

// exits waits until the program has ended, with success.
func (e *editor) exits() {
	e.t.Helper()
	select {
	case <-e.done:
	case <-time.After(editorTimeout):
		e.t.Fatal("the program goes on")
	}
	if code := e.cmd.ProcessState.ExitCode(); code != 0 {
		e.t.Errorf("the program has ended with %d", code)
	}
}

// values returns the variables of a scope.
func (e *editor) values(scope string) map[string]string {
	e.t.Helper()
	all := map[string]string{}
	for _, s := range asked[*dap.ScopesResponse](e, "scopes", map[string]any{"frameId": 1}).Body.Scopes {
		if s.Name != scope {
			continue
		}
		arguments := map[string]any{"variablesReference": s.VariablesReference}
		for _, v := range asked[*dap.VariablesResponse](e, "variables", arguments).Body.Variables {
			all[v.Name] = v.Value
		}
	}
	return all
}

// evaluate runs a text of the debug console, and returns the result.
func (e *editor) evaluate(text, context string) string {
	e.t.Helper()
	arguments := map[string]any{"expression": text, "context": context, "frameId": 1}
	return asked[*dap.EvaluateResponse](e, "evaluate", arguments).Body.Result
}

// stackNames returns the names of the frames.
func (e *editor) stackNames() []string {
	e.t.Helper()
	var all []string
	for _, f := range asked[*dap.StackTraceResponse](e, "stackTrace", map[string]any{"threadId": 1}).Body.StackFrames {
		all = append(all, f.Name)
	}
	return all
}
