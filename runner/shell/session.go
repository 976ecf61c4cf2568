// Package shell runs the commands of a buildspec in separate shells that share their
// state. One driver process lives as long as the build and runs each command in a new
// shell, which restores the variables and the directory of the previous command.
//
// A Session is the client of one driver: Begin, Set and Enter change the state, Run runs
// a command, and Capture runs one without effect on the state. protocol.go describes the
// exchange with the driver; driver.sh is its other side. The package starts no process:
// the caller connects Args, Stdin, Stdout and Stderr to one.
//
// The service is known to work the same way: every failing command reports itself at
// line 4 of /codebuild/output/tmp/script.sh, next to an env.sh and a dir.txt.
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

// ErrEnded is wrapped by the error of Run after the driver has exited: the container
// died, or a command killed the driver.
var ErrEnded = errors.New("the build's shell has ended")

// StateError is returned by Run for a command whose exit status cannot be trusted:
// its script or the saved state is incomplete, or was changed by a process of the build.
type StateError struct {
	Reason string // such as "no space left in /codebuild/output/tmp"
}

// Error returns the reason.
func (e *StateError) Error() string { return e.Reason }

// errBusy is returned by Run if the command of a canceled Run is still running.
var errBusy = errors.New("a command is still running")

// Config configures a Session.
type Config struct {
	Nonce string // unguessable; marks, tokens and the key are derived from it
	// State is an absolute directory of the container for script.sh, env.sh and dir.txt.
	// All users of the build may write to it.
	State string
	Shell string // runs the commands: sh, bash, /bin/sh
	// Home is the absolute directory of a command whose own directory no longer exists.
	Home  string
	Keep  bool // variables and directory outlive a command; false for version 0.1
	Later bool // another Session has already initialized State
	// Previous lets every command keep a copy of the state with which it begins, as Save does, at
	// almost no cost.
	Previous bool
	// PID lets every command write the process ID of its shell to PIDFile.
	PID    bool
	Output io.Writer // receives stdout and stderr of commands, merged and unbuffered
}

// Session controls one driver process. Connect Args, Stdin, Stdout and Stderr to the
// process, and call End when it has exited. The streams and End may be used concurrently
// with the other methods; the other methods may not be used concurrently.
type Session struct {
	config  Config
	stdin   *io.PipeReader // the driver's end of request
	request *io.PipeWriter
	calls   int  // number of commands; makes marks and tokens unique
	keyed   bool // the key has been sent to the driver

	mu       sync.Mutex    // guards the fields below
	wanted   []byte        // the mark that ends the running command; nil if none runs
	held     []byte        // output that may be the beginning of that mark
	output   io.Writer     // of the running command
	control  []byte        // an incomplete line of stderr
	stray    []byte        // the last other text on stderr, for a message
	token    string        // sent by the running command's script when it begins
	began    bool          // the token has arrived
	exit     int           // of the last command
	fault    error         // why exit cannot be trusted
	arrived  [2]bool       // the mark on stdout, the status on stderr
	finished chan struct{} // closed when the running command has ended
	ended    chan struct{} // closed when the driver has exited
	endErr   error         // set before ended is closed
}

// New returns a Session whose driver has not been started.
func New(c Config) *Session {
	r, w := io.Pipe()
	return &Session{config: c, stdin: r, request: w, output: c.Output, ended: make(chan struct{})}
}

// Args returns the driver's command line. It contains no secret: other processes of the
// container can read it.
func (s *Session) Args() []string {
	when := "first"
	if s.config.Later {
		when = "later"
	}
	c := s.config
	return []string{
		"sh", "-c", driver, "buildlocal", c.State, when, s.before(), after(), s.tail(), c.Shell, c.Home, s.previous(),
	}
}

// Stdin returns the stream of requests, which ends with Close.
func (s *Session) Stdin() io.Reader { return s.stdin }

// Stdout returns the writer for the output of the driver and its commands.
func (s *Session) Stdout() io.Writer { return writerFunc(s.readOutput) }

// Stderr returns the writer for the driver's answers.
func (s *Session) Stderr() io.Writer { return writerFunc(s.readControl) }

// End reports that the driver has exited, with its exit status or the error because of
// which it did not run. A second call has no effect.
func (s *Session) End(exit int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.endErr != nil {
		return
	}
	s.flush()
	s.endErr = fmt.Errorf("%w with exit status %d%s", ErrEnded, exit, s.strayOutput())
	if err != nil {
		s.endErr = fmt.Errorf("%w: %w", ErrEnded, err)
	}
	close(s.ended)
	s.stdin.CloseWithError(s.endErr)
}

// strayOutput returns the driver's last error output as the suffix of a message.
func (s *Session) strayOutput() string {
	text := strings.TrimSpace(string(append(s.stray, s.control...)))
	if text == "" {
		return ""
	}
	return ": " + text
}

// Close makes the driver exit after the running command.
func (s *Session) Close() error { return s.request.Close() }

// Exit makes an idle driver exit, and waits until it has, or ctx is done. While a command runs
// it has no effect.
func (s *Session) Exit(ctx context.Context) {
	s.mu.Lock()
	idle := s.wanted == nil
	s.mu.Unlock()
	if !idle {
		return
	}
	// An engine passes on a request sooner than the end of the stream. The write may block.
	go func() { _ = errors.Join(s.send("exit 0"), s.Close()) }()
	select {
	case <-s.ended:
	case <-ctx.Done():
	}
}

// Begin sets the directory of the first command and adds vars, lines from Export or
// ExportRaw, to the container's own variables. It must be the first call. A Session with
// Config.Later keeps the existing directory and variables and ignores both arguments.
func (s *Session) Begin(dir string, vars []string) error {
	if s.config.Later {
		return s.send()
	}
	vars = append([]string{Export("PWD", dir)}, vars...)
	return s.send(call("append", dir, "dir.txt"), call("append", strings.Join(vars, "\n"), "env.sh"))
}

// Prepare runs simple shell commands in the driver itself, which is faster than to start
// a shell for each. Newlines may only be inside single quotes. Output and exit statuses
// are discarded.
func (s *Session) Prepare(commands ...string) error {
	if len(commands) == 0 {
		return nil
	}
	return s.send("{ " + strings.Join(commands, "; ") + "; } </dev/null >/dev/null 2>&1")
}

// Export returns the shell line that sets a variable to the literal value.
func Export(name, value string) string { return "export " + name + "=" + Quote(value) }

// ExportRaw returns the shell line that sets a variable to value after expansion by the
// shell. value must not contain double quotes.
func ExportRaw(name, value string) string { return "export " + name + `="` + value + `"` }

// Set changes variables before the next command of this Session, with lines from Export.
// A command of another Session may run before the change takes effect.
func (s *Session) Set(lines ...string) error {
	return s.send(call("append", strings.Join(lines, "\n"), "env.sh"))
}

// Enter sets the directory of the next command of this Session.
func (s *Session) Enter(dir string) error {
	return s.send(call("write", "dir.txt", dir), call("append", Export("PWD", dir), "env.sh"))
}

// Save keeps a copy of the variables and the directory, for Restore.
func (s *Session) Save() error {
	return s.send(copyState("env.sh", "env.prev.sh"), copyState("dir.txt", "dir.prev.txt"))
}

// Restore makes the state that Save has kept that of the next command.
func (s *Session) Restore() error {
	return s.send(copyState("env.prev.sh", "env.sh"), copyState("dir.prev.txt", "dir.txt"))
}

// Change changes variables, with lines from Export, and the directory unless it is empty: in the
// current state and in the one that Save has kept.
func (s *Session) Change(dir string, lines ...string) error {
	return s.change([]string{"", ".prev"}, dir, lines)
}

// ChangeSaved is Change of the state that Save has kept.
func (s *Session) ChangeSaved(dir string, lines ...string) error {
	return s.change([]string{".prev"}, dir, lines)
}

// change changes states, which differ in a part of the names of their files.
func (s *Session) change(states []string, dir string, lines []string) error {
	var requests []string
	if dir != "" {
		lines = append(lines, Export("PWD", dir))
	}
	for _, state := range states {
		if dir != "" {
			requests = append(requests, call("write", "dir"+state+".txt", dir))
		}
		if len(lines) > 0 {
			requests = append(requests, call("append", strings.Join(lines, "\n"), "env"+state+".sh"))
		}
	}
	return s.send(requests...)
}

// Run runs text as one command and returns its exit status. If ctx is done first, it
// returns context.Cause(ctx) and the command keeps running: the caller must terminate it
// and may then call Wait. The error is a *StateError, or wraps ErrEnded, if the exit
// status is unknown.
func (s *Session) Run(ctx context.Context, text string) (int, error) {
	return s.run(ctx, text, s.config.Output, "")
}

// RunTo is Run with another writer for the output.
func (s *Session) RunTo(ctx context.Context, text string, output io.Writer) (int, error) {
	return s.run(ctx, text, output, "")
}

// Capture runs text in the current state and returns its output, stdout and stderr
// merged, and its exit status. The state does not change.
func (s *Session) Capture(ctx context.Context, text string) (string, int, error) {
	var b bytes.Buffer
	// The exit skips the lines that save the state, see tail.
	exit, err := s.run(ctx, text+"\nexit $?", &b, "aside")
	return b.String(), exit, err
}

func (s *Session) run(ctx context.Context, text string, output io.Writer, mode string) (int, error) {
	mark, token, err := s.expect(output)
	if err != nil {
		return 0, err
	}
	// Mark and token consist of characters that need no quotes.
	request := "run " + mark + " " + token + " " + Quote(strings.TrimSuffix(text, "\n"))
	if mode != "" {
		request += " " + mode
	}
	if err := s.send(request); err != nil {
		return 0, err
	}
	return s.Wait(ctx)
}

// expect creates the mark and the token of the next command and waits for them from now
// on. It must be called before the request is sent.
func (s *Session) expect(output io.Writer) (mark, token string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted != nil {
		return "", "", errBusy
	}
	s.calls++
	mark = s.secret(fmt.Sprintf("mark %d", s.calls))
	s.token, s.began = s.secret(fmt.Sprintf("token %d", s.calls)), false
	s.wanted = []byte(separator + mark + separator)
	s.output, s.arrived, s.finished = output, [2]bool{}, make(chan struct{})
	return mark, s.token, nil
}

// Wait waits for the command of a canceled Run and returns its exit status.
func (s *Session) Wait(ctx context.Context) (int, error) {
	select {
	case <-s.finished:
		return s.exit, s.fault
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-s.ended:
	}
	select { // the command may have ended just before the driver
	case <-s.finished:
		return s.exit, s.fault
	default:
		return 0, s.endErr
	}
}

// send sends requests, one line each, after the key and the length. The driver learns the
// key from the first line, at a time when no process of the build can read it.
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
