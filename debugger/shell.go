package debugger

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/treecopy"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/runner/shell"
)

// ShellOptions choose a shell in a build.
type ShellOptions struct {
	User  string // "" for the user of the phase
	Shell string // "" for bash if the image has it, else the shell of the build's commands
	NoEnv bool   // without the state of the build
	Keep  bool   // keep changed variables and the directory in the build without asking
	Drop  bool   // drop them without asking
}

// openShell is a script that replaces itself by an interactive shell. It has no variables of its
// own: the build's could have the same names. Arguments: the shell or "", that of the commands, and
// the start files. Those of the image are not read: they would change PATH.
const openShell = `set -- "${1:-$(command -v bash >/dev/null 2>&1 && echo bash || echo "$2")}" "$3" "$4"
case ${1##*/} in
bash) exec "$1" --noprofile --rcfile "$2" -i ;;
*) ENV=$3 exec "$1" -i ;;
esac`

// startFile returns the start file of a shell. When the shell exits, it leaves its variables and
// directory for left.
func startFile(prompt, again, left, env string, bash bool) string {
	lines := []string{"PS1=" + shell.Quote(prompt)}
	if bash {
		lines = append(lines, "HISTFILE=", "unset HISTFILE")
		if again != "" {
			lines = append(lines, "history -s "+shell.Quote(again))
		}
	} else {
		lines = append(lines, env)
		if again != "" {
			lines = append(lines, "again() {\n"+again+"\n}")
		}
	}
	lines = append(lines,
		"trap "+shell.Quote("{ "+runner.PrintState+"\n} >|"+left+" 2>/dev/null")+" EXIT",
		"set -a")
	return strings.Join(lines, "\n") + "\n"
}

// shell opens a shell at the current stop.
func (f *front) shell(ctx context.Context, args string) (bool, error) {
	o := ShellOptions{}
	for _, word := range strings.Fields(args) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "--keep":
			o.Keep = true
		case "--drop":
			o.Drop = true
		case "--no-env":
			o.NoEnv = true
		case "--user":
			o.User = value
		case "--shell":
			o.Shell = value
		default:
			f.fail(fmt.Errorf("unknown option %s\nthe options are --keep, --drop, --no-env, --user=NAME and --shell=NAME", word))
			return false, nil
		}
	}
	// A shell at codebuild-breakpoint ends when codebuild-resume runs in it.
	reading, cancel := f.whileOpen(ctx, f.stop)
	defer cancel()
	if _, err := f.openShell(reading, o); err != nil && reading.Err() == nil {
		f.fail(err)
	}
	if _, gone := reasonOf(reading); gone && ctx.Err() == nil {
		f.say(context.Cause(reading).Error())
		return true, nil
	}
	return false, nil
}

// Shell opens a shell in the state of the build on a terminal, at a stop or beside a running
// command, and returns its exit status.
func (d *Debugger) Shell(ctx context.Context, t *Terminal, o ShellOptions) (int, error) {
	f := &front{Debugger: d, t: t, in: newInput(t.In), out: t.Out}
	defer f.in.close()
	if t.Raw == nil {
		f.out = crlf{t.Out}
	}
	f.editor = newLineEditor(t, f.in, nil, d.Now)
	f.mu.Lock()
	if len(f.stops) > 0 {
		f.stop = f.stops[0]
	}
	f.mu.Unlock()
	if f.stop == nil {
		f.stop = &stopped{}
	}
	if f.live == nil {
		return 0, runner.ErrNoEnvironment
	}
	return f.openShell(ctx, o)
}

// openShell runs a shell until it exits, and then keeps or drops its changes.
func (f *front) openShell(ctx context.Context, o ShellOptions) (int, error) {
	before, err := f.live.State(ctx, f.stop.Breakpoint)
	if err != nil {
		return 0, err
	}
	id := f.nextShell()
	left, files := path.Join(runner.ShellDir, "shell."+id+".left"), f.startFiles(id, before)
	defer files.Close()
	if err := f.live.CopyIn(ctx, runner.ShellDir, files); err != nil {
		return 0, err
	}
	f.banner(before)
	f.live.ByHand(runner.HandShell, "")
	exit, err := f.runShell(ctx, o, id)
	if err != nil || f.stop.Breakpoint != nil || o.NoEnv || o.Drop {
		return exit, err
	}
	after, err := f.leftState(context.WithoutCancel(ctx), left)
	if err != nil {
		return exit, nil // the shell was replaced or killed: it has left nothing
	}
	return exit, f.keep(ctx, before, after, o.Keep)
}

// nextShell returns a name for the files of a shell.
func (f *front) nextShell() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shells++
	return fmt.Sprint(f.shells)
}

// startFiles returns the start files of a shell as a tar stream.
func (f *front) startFiles(id string, before runner.State) io.ReadCloser {
	place := f.stop.At
	if place != "" {
		place = " " + place
	}
	prompt := fmt.Sprintf("[%s #%s%s] ", f.Project, f.number(), place)
	left := path.Join(runner.ShellDir, "shell."+id+".left")
	env := "unset ENV"
	for _, v := range before.Variables {
		if v.Name == "ENV" {
			env = shell.Export("ENV", v.Value)
		}
	}
	const everyone = 0o666
	return treecopy.Stream(
		treecopy.Text("shell."+id+".bash", everyone, startFile(prompt+`\w \$ `, f.stop.Text, left, env, true)),
		treecopy.Text("shell."+id+".sh", everyone, startFile(prompt+`$PWD $ `, f.stop.Text, left, env, false)),
		treecopy.Text("shell."+id+".left", everyone, ""),
	)
}

// number returns the number of the build.
func (f *front) number() string {
	number, _, _ := strings.Cut(f.Build, "-")
	return number
}

// banner explains the differences between the shell and a command.
func (f *front) banner(state runner.State) {
	s := f.screen()
	if state.Gone {
		s.Paragraph("the directory of the last command no longer exists; this is "+state.Dir, console.Accent("note:"))
	}
	if f.stop.Failed() {
		s.Line(console.Weak("Up recalls the failed command; in sh, again runs it"))
	}
	s.Line(console.Weak("secrets are not masked here, and programs see a terminal; exit returns to the prompt"))
}

// runShell connects a shell with the terminal.
func (f *front) runShell(ctx context.Context, o ShellOptions, id string) (int, error) {
	if f.t.Raw != nil {
		restore, err := f.t.Raw()
		if err != nil {
			return 0, err
		}
		defer restore()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := runner.LiveProcess{At: f.stop.Breakpoint, NoEnv: o.NoEnv}
	base := path.Join(runner.ShellDir, "shell."+id)
	p.Args = []string{"sh", "-c", openShell, "buildlocal", o.Shell, f.Plan().Shell, base + ".bash", base + ".sh"}
	p.User, p.Env = o.User, f.t.Env
	p.Stdin, p.Stdout, p.TTY = reader{ctx, f.in}, f.t.Out, f.tty(ctx)
	return f.live.Exec(ctx, p)
}

// tty returns the terminal for a process, whose size follows that of the user's.
func (f *front) tty(ctx context.Context) *engine.TTY {
	sizes := make(chan engine.TTY)
	size := func() engine.TTY {
		columns, rows := f.t.Size()
		return engine.TTY{Columns: uint16(columns), Rows: uint16(rows)}
	}
	if f.t.Resized != nil {
		go func() {
			defer close(sizes)
			for f.resized(ctx) {
				select {
				case sizes <- size():
				case <-ctx.Done():
				}
			}
		}()
	}
	t := size()
	t.Resize = sizes
	return &t
}

// resized waits until the terminal has another size. It returns false if ctx is done.
func (f *front) resized(ctx context.Context) bool {
	select {
	case _, open := <-f.t.Resized:
		return open
	case <-ctx.Done():
		return false
	}
}

// leftState returns the state that a shell has left in a file.
func (f *front) leftState(ctx context.Context, file string) (runner.State, error) {
	stream, err := f.live.CopyOut(ctx, file)
	if err != nil {
		return runner.State{}, err
	}
	defer stream.Close()
	r := tar.NewReader(stream)
	if _, err := r.Next(); err != nil {
		return runner.State{}, err
	}
	const most = 4 << 20
	text, err := io.ReadAll(io.LimitReader(r, most))
	if err != nil {
		return runner.State{}, err
	}
	if len(text) == 0 {
		return runner.State{}, errors.New("nothing left")
	}
	return runner.ParseState(string(text)), nil
}

// own are the variables that an interactive shell sets itself.
var own = []string{"COLUMNS", "ENV", "HISTFILE", "LINES", "PS1", "PS2", "PS4", "TERM", "COLORTERM"}

// keep asks whether variables and the directory that a shell has changed become the build's.
func (f *front) keep(ctx context.Context, before, after runner.State, keep bool) error {
	ignored := slices.Clone(own)
	for _, v := range f.t.Env {
		name, _, _ := strings.Cut(v, "=")
		ignored = append(ignored, name)
	}
	lines, names := runner.StateChanges(before, after, ignored...)
	dir := ""
	if after.Dir != before.Dir {
		dir = after.Dir
	}
	var what []string
	if len(names) > 0 {
		what = append(what, human.Count(len(names), "variable"))
	}
	if dir != "" {
		what = append(what, "the directory")
	}
	if len(what) == 0 {
		return nil
	}
	if !keep {
		ok, err := f.ask(ctx, strings.Join(what, " and ")+" changed. Keep them in the build? [y/N] ")
		if err != nil || !ok {
			return err
		}
	}
	if err := f.live.Change(ctx, dir, lines...); err != nil {
		f.fail(err)
		return nil
	}
	for _, name := range names {
		f.live.ByHand(runner.HandSet, name)
	}
	if dir != "" {
		f.live.ByHand(runner.HandEnter, dir)
	}
	return nil
}
