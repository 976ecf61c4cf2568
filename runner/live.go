package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/runner/shell"
	"github.com/buildlocal/buildlocal/secrets"
)

// Live is the environment of a build that runs, for a user who looks into it. Its methods may
// be called concurrently, and return ErrNoEnvironment before the container exists. It is also
// that of a build that has ended, in a container that was kept.
type Live struct {
	build     *build                           // nil if it has ended
	container atomic.Pointer[engine.Container] // nil before and after the container
	user      atomic.Pointer[string]           // who runs the current command
}

// Errors of Live.
var (
	ErrOver          = errors.New("the build has ended")
	ErrNoEnvironment = errors.New("the build has no environment yet, or no longer")
	ErrBusy          = errors.New("a command of the build is running, or waits in codebuild-breakpoint")
)

// LiveProcess is a process to run beside the commands of a build.
type LiveProcess struct {
	// Process has the arguments. Its Env is added to the build's variables, and Dir and User
	// replace the build's unless they are empty.
	engine.Process
	NoEnv bool // the container's own variables only, not those of the commands
	// At selects the state of a script that waits in codebuild-breakpoint; nil for that of the
	// next command.
	At *Breakpoint
}

// State is the part of a shell that commands pass on to each other.
type State struct {
	Dir       string // absolute
	Gone      bool   // the directory of the last command no longer exists; Dir is that of the source
	Variables []NameValue
}

func newLive(b *build) *Live {
	l := &Live{build: b}
	l.user.Store(new(string))
	return l
}

// NewKept returns the environment of a build that has ended. The secrets of the build are not known
// any more, so output is not masked, and nothing is recorded, because the record is complete.
func NewKept(c engine.Container) *Live {
	l := newLive(nil)
	l.container.Store(&c)
	return l
}

// environment returns the container, if there is one.
func (l *Live) environment() (engine.Container, error) {
	c := l.container.Load()
	if c == nil {
		return nil, ErrNoEnvironment
	}
	return *c, nil
}

// enter is the beginning of a script that runs a process in the state of the build, see enterArgs.
// Only builtins are used. The container's own variables are unset first, because a command may have
// unset them. No variable of the script is left when those of the build are loaded, because they may
// have the same names. They are not loaded in a function, where bash would make them local.
const enter = `eval "$(export -p | while IFS=' =' read -r word name rest; do
  case $name in -*) name=${rest%%%%=*} ;; esac
  case $name in '' | PATH | [0-9]* | *[!A-Za-z0-9_]*) ;; *) printf 'unset %%s\n' "$name" ;; esac
done)"
go() { cd "$1" 2>/dev/null || cd "$2" 2>/dev/null || cd /; }
cwd=%[3]s
if [ -z "$cwd" ] && [ -f %[2]s ]; then IFS= read -r cwd <%[2]s; fi
go "${cwd:-/}" %[4]s
unset cwd OLDPWD
. %[1]s
PWD=$(command pwd)
`

// Exec runs a process as the next command would run: with its variables, in its directory and as
// its user. See LiveProcess for exceptions. Output is masked, except on a terminal.
func (l *Live) Exec(ctx context.Context, p LiveProcess) (int, error) {
	c, err := l.environment()
	if err != nil {
		return 0, err
	}
	process := p.Process
	process.User = cmp.Or(process.User, *l.user.Load())
	if !p.NoEnv {
		process.Args, process.Dir, process.Env = l.inState(p), "", nil
	}
	if process.TTY == nil {
		stdout, stderr := l.masked(process.Stdout), l.masked(process.Stderr)
		defer stdout.flush()
		defer stderr.flush()
		process.Stdout, process.Stderr = stdout.writer(), stderr.writer()
	}
	return c.Exec(ctx, process)
}

// maskedStream is a stream whose secrets are masked; nil for output that is discarded.
type maskedStream struct{ *secrets.Writer }

func (l *Live) masked(w io.Writer) maskedStream {
	mask := secrets.NewMask()
	if l.build != nil {
		mask = l.build.rec.mask
	}
	if w == nil {
		return maskedStream{}
	}
	return maskedStream{mask.Writer(w)}
}

func (m maskedStream) writer() io.Writer {
	if m.Writer == nil {
		return nil
	}
	return m.Writer
}

func (m maskedStream) flush() {
	if m.Writer != nil {
		_ = m.Flush()
	}
}

// inState returns the command line that runs a process in the state of the build.
func (l *Live) inState(p LiveProcess) []string {
	env, dir := StateDir+"/env.sh", StateDir+"/dir.txt"
	if p.At != nil {
		env, dir = p.At.file("env"), p.At.file("dir")
	}
	return enterArgs(l.shell(), env, dir, l.sourceDir(), p)
}

// enterArgs returns the command line that runs a process with the variables of a file and in the
// directory that another file names, or in home if that one is gone. The process is a part of the
// script, because the file with the variables replaces the arguments of the shell.
func enterArgs(program []string, env, dir, home string, p LiveProcess) []string {
	var b strings.Builder
	fmt.Fprintf(&b, enter, env, dir, shell.Quote(p.Dir), shell.Quote(home))
	for _, v := range p.Env { // they replace the build's variables
		name, value, _ := strings.Cut(v, "=")
		b.WriteString(shell.Export(name, value) + "\n")
	}
	b.WriteString("exec")
	for _, arg := range p.Args {
		b.WriteString(" " + shell.Quote(arg))
	}
	return append(slices.Clone(program), "-c", b.String())
}

// anyShell runs bash, or sh in an image without it.
const anyShell = `if command -v bash >/dev/null 2>&1; then exec bash "$@"; fi; exec sh "$@"`

// shell returns the shell that loads the variables: the one of the commands, which has written them
// in its own way. That of a build that has ended is not known.
func (l *Live) shell() []string {
	if l.build == nil {
		return []string{"sh", "-c", anyShell, "sh"}
	}
	return []string{l.build.plan.Shell}
}

// sourceDir returns the directory of the source, or one that exists if it is not known.
func (l *Live) sourceDir() string {
	if l.build == nil {
		return "/codebuild"
	}
	return l.build.plan.Sources[0].Path
}

// CopyIn copies files into the build, see engine.Container.
func (l *Live) CopyIn(ctx context.Context, dir string, tar io.Reader) error {
	c, err := l.environment()
	if err != nil {
		return err
	}
	return c.CopyIn(ctx, dir, tar)
}

// CopyOut copies files out of the build, see engine.Container.
func (l *Live) CopyOut(ctx context.Context, path string) (io.ReadCloser, error) {
	c, err := l.environment()
	if err != nil {
		return nil, err
	}
	return c.CopyOut(ctx, path)
}

// Run runs text as a command of the build, which keeps its variables and its directory. It
// returns ErrBusy while a command runs. If ctx ends, the command is ended.
func (l *Live) Run(ctx context.Context, text string, output io.Writer) (int, error) {
	session, err := l.idle()
	if err != nil {
		return 0, err
	}
	defer l.build.idle.Unlock()
	masked := l.build.rec.mask.Writer(output)
	defer func() { _ = masked.Flush() }()
	before, err := l.State(ctx, nil)
	if err != nil {
		return 0, err
	}
	exit, err := session.RunTo(ctx, text, masked)
	if err != nil && ctx.Err() != nil {
		l.build.endText(ctx, session)
		return exit, err
	}
	if err != nil {
		return exit, err
	}
	after, err := l.State(ctx, nil)
	if err != nil {
		return exit, err
	}
	// A retry begins with the saved state, and keeps the changes of the text.
	lines, _ := StateChanges(before, after)
	dir := ""
	if after.Dir != before.Dir {
		dir = after.Dir
	}
	return exit, session.ChangeSaved(dir, lines...)
}

// StateChanges returns the lines of shell that make one state from another, and the names of the
// variables that they change. Variables that every shell sets do not count, nor the ones ignored.
func StateChanges(before, after State, ignored ...string) (lines, names []string) {
	ignored = append([]string{"_", "OLDPWD", "PWD", "SHLVL", "CODEBUILD_LAST_EXIT"}, ignored...)
	old := map[string]string{}
	for _, v := range before.Variables {
		old[v.Name] = v.Value
	}
	for _, v := range after.Variables {
		value, had := old[v.Name]
		delete(old, v.Name)
		if slices.Contains(ignored, v.Name) || had && value == v.Value {
			continue
		}
		lines, names = append(lines, shell.Export(v.Name, v.Value)), append(names, v.Name)
	}
	for _, v := range before.Variables {
		if _, gone := old[v.Name]; gone && !slices.Contains(ignored, v.Name) {
			lines, names = append(lines, "unset "+v.Name), append(names, v.Name)
		}
	}
	return lines, names
}

// idle returns the shell of the current user if the build is stopped and no command runs. The
// build does not go on until the caller unlocks build.idle.
func (l *Live) idle() (*shell.Session, error) {
	if _, err := l.environment(); err != nil {
		return nil, err
	}
	if l.build == nil {
		return nil, ErrOver
	}
	if !l.build.idle.TryLock() {
		return nil, ErrBusy
	}
	session := l.build.shells.of(*l.user.Load())
	if session == nil {
		l.build.idle.Unlock()
		return nil, ErrNoEnvironment
	}
	return session, nil
}

// Change makes lines of shell (shell.Export) and a directory, if it is not empty, part of the
// state of the next command. It returns ErrBusy while a command runs.
func (l *Live) Change(ctx context.Context, dir string, lines ...string) error {
	session, err := l.idle()
	if err != nil {
		return err
	}
	defer l.build.idle.Unlock()
	if err := session.Change(dir, lines...); err != nil {
		return err
	}
	_, _, err = session.Capture(ctx, ":") // wait for the changes
	return err
}

// PrintState is a shell script that prints the directory and then each exported variable, all followed by a NUL. The
// names of its own variables are unlikely in a build.
const PrintState = `printf '%s\000' "$PWD"
export -p | while IFS=' =' read -r bl__w bl__n bl__r; do
  case $bl__n in -*) bl__n=${bl__r%%=*} ;; esac
  case $bl__n in
    '' | [0-9]* | *[!A-Za-z0-9_]*) ;;
    *) eval "[ -n \"\${$bl__n+x}\" ] && printf '%s=%s\\000' $bl__n \"\${$bl__n}\"" ;;
  esac
done`

// State returns the directory and the variables that the next command has, or those of a script
// that waits at a breakpoint.
func (l *Live) State(ctx context.Context, at *Breakpoint) (State, error) {
	c, err := l.environment()
	if err != nil {
		return State{}, err
	}
	var out strings.Builder
	file := StateDir + "/dir.txt"
	if at != nil {
		file = at.file("dir")
	}
	p := LiveProcess{At: at}
	p.Args = []string{"sh", "-c", printWanted + PrintState, "buildlocal", file}
	if _, err = c.Exec(ctx, engine.Process{Args: l.inState(p), User: *l.user.Load(), Stdout: &out}); err != nil {
		return State{}, err
	}
	wanted, rest, _ := strings.Cut(out.String(), "\x00")
	s := ParseState(rest)
	s.Gone = wanted != "" && wanted != s.Dir
	return s, nil
}

// printWanted prints the directory that the last command has left, which may be gone.
const printWanted = `bl__n=
IFS= read -r bl__n <"$1"
printf '%s\000' "$bl__n"
unset bl__n
`

// ParseState parses the output of PrintState. A value with lines that look like definitions
// makes a name appear twice.
func ParseState(text string) State {
	parts := strings.Split(strings.TrimSuffix(text, "\x00"), "\x00")
	s := State{Dir: parts[0]}
	seen := map[string]bool{"_": true} // of the shell that printed the others
	for _, part := range parts[1:] {
		name, value, _ := strings.Cut(part, "=")
		if !seen[name] {
			s.Variables = append(s.Variables, NameValue{name, value})
		}
		seen[name] = true
	}
	return s
}

// ByHand records a change by the user.
func (l *Live) ByHand(kind HandKind, text string) {
	if l.build != nil {
		l.build.byHand(kind, l.build.at(), text)
	}
}

// Interrupt ends the running command as Ctrl-C on a terminal would, and then with SIGTERM. The
// build stops at it. It returns false if no command of the buildspec runs.
func (l *Live) Interrupt(ctx context.Context) bool {
	if l.build == nil {
		return false
	}
	c := l.build.running.Load()
	if c != nil {
		go l.build.interruptCommand(ctx, c)
	}
	return c != nil
}

// Notify sends an event of the debugger to the sinks of the build.
func (l *Live) Notify(e Event) {
	if l.build != nil {
		l.build.rec.notify(e)
	}
}

// Mask masks the secrets in a text.
func (l *Live) Mask(text string) string {
	if l.build == nil {
		return text
	}
	return l.build.rec.maskText(text)
}

// Record returns the record of the build so far, masked, as if it ended now; nil for one that has
// ended.
func (l *Live) Record() *Record {
	if l.build == nil {
		return nil
	}
	environment := l.build.environment()
	return l.build.rec.soFar(environment)
}

// Output returns the end of the output of the last command, masked.
func (l *Live) Output() string {
	if l.build == nil {
		return ""
	}
	return l.build.rec.lastOutput()
}
