// Package shell turns the commands of a buildspec into processes that keep
// their shell's state: one driver process runs each command in a fresh shell,
// which finds the variables and the directory where the last one left them.
//
// The service is known to do the same: every failing command reports itself at
// line 4 of /codebuild/output/tmp/script.sh, beside an env.sh and a dir.txt.
package shell

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

//go:embed driver.sh
var driver string

// ErrEnded is returned by Run when the driver is gone: the container died, or a
// command killed the driver.
var ErrEnded = errors.New("the build's shell has ended")

// StateError is returned by Run for a command whose exit status cannot be trusted:
// its script or the saved state is incomplete, or was changed by a process of the build.
type StateError struct {
	Reason string // such as "no space left in /codebuild/output/tmp"
}

// Error returns the reason.
func (e *StateError) Error() string { return e.Reason }

// errBusy is returned by Run after a Run that was cut off.
var errBusy = errors.New("a command is still running")

// Config is what a Session is made from.
type Config struct {
	Nonce  string    // unguessable; marks, tokens and the key are derived from it
	State  string    // absolute directory inside for script.sh, env.sh and dir.txt; anybody may write there
	Shell  string    // runs the commands: sh, bash, /bin/sh
	Home   string    // absolute directory where a command starts when the one it should start in is gone
	Keep   bool      // whether variables and directory outlive a command; false for version 0.1
	Later  bool      // another Session of the same State has begun already
	Output io.Writer // what commands print, stdout and stderr in one, as it comes
}

// Session speaks with one driver process. Give its Args, Stdin, Stdout and
// Stderr to the process, and call End when the process ended. Not for use by
// several goroutines, but for the streams and End.
type Session struct {
	config  Config
	stdin   *io.PipeReader
	request *io.PipeWriter
	calls   int
	keyed   bool // the driver has been sent the key

	mu       sync.Mutex
	wanted   []byte // the mark that ends the command running now
	held     []byte // output that may be the beginning of that mark
	output   io.Writer
	control  []byte // an unfinished line of stderr
	stray    []byte // the last of what is not ours on stderr, for a message
	token    string // sent by the script of the command running now when it begins
	began    bool   // that token came
	exit     int
	fault    error   // why exit cannot be trusted
	heard    [2]bool // the mark on stdout, the status on stderr
	finished chan struct{}
	ended    chan struct{}
	endErr   error
}

// New returns a Session whose driver has not been started.
func New(c Config) *Session {
	r, w := io.Pipe()
	return &Session{config: c, stdin: r, request: w, output: c.Output, ended: make(chan struct{})}
}

// Args returns the driver's command line. It has no secret in it.
func (s *Session) Args() []string {
	when := "first"
	if s.config.Later {
		when = "later"
	}
	c := s.config
	return []string{"sh", "-c", driver, "buildlocal", c.State, when, s.before(), after(), s.tail(), c.Shell, c.Home}
}

// Stdin is what the driver reads: requests. It ends with Close.
func (s *Session) Stdin() io.Reader { return s.stdin }

// Stdout takes what the driver and its commands print.
func (s *Session) Stdout() io.Writer { return writerFunc(s.readOutput) }

// Stderr takes the driver's answers.
func (s *Session) Stderr() io.Writer { return writerFunc(s.readControl) }

// End tells the Session that the driver is gone, with its exit status or the
// error that kept it from running. A second call does nothing.
func (s *Session) End(exit int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.endErr != nil {
		return
	}
	s.flush()
	s.endErr = fmt.Errorf("%w with exit status %d%s", ErrEnded, exit, s.lastWords())
	if err != nil {
		s.endErr = fmt.Errorf("%w: %w", ErrEnded, err)
	}
	close(s.ended)
	s.stdin.CloseWithError(s.endErr)
}

func (s *Session) lastWords() string {
	text := strings.TrimSpace(string(append(s.stray, s.control...)))
	if text == "" {
		return ""
	}
	return ": " + text
}

// Close ends the driver once it is idle.
func (s *Session) Close() error { return s.request.Close() }

// Begin sets the directory of the first command and adds vars, lines made by
// Export or ExportRaw, to the container's own variables. Call it once, first; a
// later Session finds both as they are.
func (s *Session) Begin(dir string, vars []string) error {
	if s.config.Later {
		return s.send()
	}
	vars = append([]string{Export("PWD", dir)}, vars...)
	return s.send(call("append", dir, "dir.txt"), call("append", strings.Join(vars, "\n"), "env.sh"))
}

// Prepare has the driver itself carry out commands, before anything else: each is
// a simple command of shell, of which only literal text is quoted. What they print,
// and whether they fail, is lost. It saves the start of a shell.
func (s *Session) Prepare(commands ...string) error {
	if len(commands) == 0 {
		return nil
	}
	return s.send("{ " + strings.Join(commands, "; ") + "; } </dev/null >/dev/null 2>&1")
}

// Export returns the line of shell that sets a variable to value, literally.
func Export(name, value string) string { return "export " + name + "=" + Quote(value) }

// ExportRaw returns the line of shell that sets a variable to value, which the
// shell expands: what value holds is shell text without quotes.
func ExportRaw(name, value string) string { return "export " + name + `="` + value + `"` }

// Set changes variables before the next command of this Session: lines made by
// Export. A command of another Session may run before it takes effect.
func (s *Session) Set(lines ...string) error {
	return s.send(call("append", strings.Join(lines, "\n"), "env.sh"))
}

// Enter makes dir the directory of the next command of this Session.
func (s *Session) Enter(dir string) error {
	return s.send(call("write", "dir.txt", dir), call("append", Export("PWD", dir), "env.sh"))
}

// Run runs text as one command and returns its exit status. It returns
// context.Cause(ctx) when ctx ends, with the command still running: the caller
// ends it, and may then call Wait.
func (s *Session) Run(ctx context.Context, text string) (int, error) {
	return s.run(ctx, text, s.config.Output, "")
}

// Capture runs text with the state the commands left and returns what it
// printed; the state stays as it was.
func (s *Session) Capture(ctx context.Context, text string) (string, int, error) {
	var b bytes.Buffer
	// It ends before the lines that save the state.
	exit, err := s.run(ctx, text+"\nexit $?", &b, "aside")
	return b.String(), exit, err
}

func (s *Session) run(ctx context.Context, text string, output io.Writer, how string) (int, error) {
	mark, token, err := s.expect(output)
	if err != nil {
		return 0, err
	}
	request := "run " + mark + " " + token + " " + Quote(strings.TrimSuffix(text, "\n")) // neither has to be quoted
	if how != "" {
		request += " " + how
	}
	if err := s.send(request); err != nil {
		return 0, err
	}
	return s.Wait(ctx)
}

// expect makes the mark and the token of the next command.
func (s *Session) expect(output io.Writer) (mark, token string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted != nil {
		return "", "", errBusy
	}
	s.calls++
	mark = s.secret(fmt.Sprintf("mark %d", s.calls))
	s.token, s.began = s.secret(fmt.Sprintf("token %d", s.calls)), false
	s.wanted = []byte("\x1e" + mark + "\x1e")
	s.output, s.heard, s.finished = output, [2]bool{}, make(chan struct{})
	return mark, s.token, nil
}

// Wait waits for the command that a Run left running.
func (s *Session) Wait(ctx context.Context) (int, error) {
	select {
	case <-s.finished:
		return s.exit, s.fault
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-s.ended:
	}
	select { // both may be ready
	case <-s.finished:
		return s.exit, s.fault
	default:
		return 0, s.endErr
	}
}

// send sends requests, a line each. The key that precedes them is sent once before,
// when no process of the build is there to read it.
func (s *Session) send(requests ...string) error {
	var b strings.Builder
	key := s.secret("key")
	if !s.keyed {
		b.WriteString(key + "\n")
		s.keyed = true
	}
	for _, r := range requests {
		r = oneLine(r)
		fmt.Fprintf(&b, "%s %d %s\n", key, len(r), r)
	}
	if _, err := io.WriteString(s.request, b.String()); err != nil {
		return fmt.Errorf("send to the build's shell: %w", err)
	}
	return nil
}
