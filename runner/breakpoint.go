package runner

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"sync"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/treecopy"
)

// Breakpoint is a process that waits in codebuild-breakpoint.
type Breakpoint struct {
	ID  int // of this build, from 1
	PID int // in the container
}

// The helpers codebuild-breakpoint and codebuild-resume talk to this program through named pipes,
// because an image may have no program that could wait for a file, and because a pipe ends with
// its readers. All are in one directory:
//
//   - stops: the helpers write one line for each event. A process of this program in the
//     container reads it, see watchBreakpoints.
//   - go.N: the breakpoint N waits for a line in it. The runner makes a few in advance, because
//     an image may have no mkfifo, and one more for each that is used.
//   - taken.N, done.N: the breakpoint N waits or has waited, and has ended. They are created with
//     noclobber, so that no two processes get the same number.
//   - env.N, dir.N: the variables and the directory of the script that waits.
//
// The directory is not the one of the state: Docker cannot copy files into a memory file system.
const debugDir = "/codebuild/debug"

// ShellDir is a directory of the container for files of a debugger. Every user may write there.
const ShellDir = debugDir

// breakpointPipes is how many processes can wait at the same time.
const breakpointPipes = 16

// breakpointScript is codebuild-breakpoint in a build with a debugger. It uses builtins only, and
// exits with 0 in any case.
const breakpointScript = `#!/bin/sh
# Waits until the debugger of buildlocal continues this script. The names of variables are
# unlikely, because the script's own ones are saved.
bl__d=` + debugDir + `
[ -p "$bl__d/stops" ] || exit 0
bl__n=1
while :; do
  if [ ! -p "$bl__d/go.$bl__n" ]; then
    printf 'codebuild-breakpoint: too many scripts wait; not stopped\n' >&2
    exit 0
  fi
  if (set -C && : >"$bl__d/taken.$bl__n") 2>/dev/null; then break; fi
  bl__n=$((bl__n + 1))
done
pwd >"$bl__d/dir.$bl__n"
{ export -p && printf 'set -- complete\n'; } >"$bl__d/env.$bl__n"
# The pipe is open before the stop is reported, so that no answer is lost.
exec 3<>"$bl__d/go.$bl__n"
printf 'stop %s %s\n' "$bl__n" "$$" >"$bl__d/stops"
read -r bl__l <&3
: >"$bl__d/done.$bl__n"
exit 0
`

// resumeScript is codebuild-resume in a build with a debugger.
const resumeScript = `#!/bin/sh
# Continues the script that has waited longest in codebuild-breakpoint.
d=` + debugDir + ` n=1
while [ -e "$d/taken.$n" ]; do
  if [ ! -e "$d/done.$n" ]; then
    printf 'resume 0 0\n' >"$d/stops"
    exit 0
  fi
  n=$((n + 1))
done
printf 'codebuild-resume: no script waits in codebuild-breakpoint\n'
exit 0
`

// file returns a file of the breakpoint in the container.
func (p *Breakpoint) file(kind string) string { return fmt.Sprintf("%s/%s.%d", debugDir, kind, p.ID) }

// release lets the process go on. Opened for reading too, the pipe does not block if the process
// has been killed.
func (p *Breakpoint) release(ctx context.Context, c engine.Container) error {
	_, err := c.Exec(ctx, engine.Process{
		Args: []string{"sh", "-c", `exec 3<>"$1" && printf 'go\n' >&3`, "buildlocal", p.file("go")},
	})
	return err
}

// breakpoints connects the helpers with the debugger.
type breakpoints struct {
	*build
	mu      sync.Mutex
	waiting []waitingBreakpoint // the oldest first
	pipes   int                 // that exist
}

// waitingBreakpoint is a breakpoint at which the build is stopped.
type waitingBreakpoint struct {
	id     int
	resume context.CancelFunc // ends the stop, as codebuild-resume does
}

// breakpointCommands returns commands that create the helpers for breakpoints. Without a debugger
// they have no effect (documented). With one, watchBreakpoints has created them.
func (b *build) breakpointCommands() []string {
	if b.Pause != nil {
		return nil
	}
	var all []string
	for _, name := range []string{"codebuild-breakpoint", "codebuild-resume"} {
		all = append(all, fmt.Sprintf("printf '#!/bin/sh\\nexit 0\\n' >%s/%s", userBin, name))
	}
	return all
}

// copyHelpers copies the helpers into the container: an image may have no chmod to make them
// executable.
func (b *build) copyHelpers(ctx context.Context) error {
	const executable = 0o755
	files := treecopy.Stream(
		shared("./"),
		treecopy.Text("./codebuild-breakpoint", executable, breakpointScript),
		treecopy.Text("./codebuild-resume", executable, resumeScript),
	)
	defer files.Close()
	return b.container.CopyIn(ctx, userBin, files)
}

// shared returns a directory in which every user may create files.
func shared(name string) treecopy.File { return treecopy.File{Name: name, Mode: fs.ModeDir | 0o777} }

// watchBreakpoints creates the pipes and reads the lines of the helpers, until the container ends.
func (b *build) watchBreakpoints(ctx context.Context) error {
	if b.Pause == nil {
		return nil
	}
	go b.serveSuspends(ctx)
	w := &breakpoints{build: b}
	if err := errors.Join(w.addPipes(ctx, breakpointPipes), b.copyHelpers(ctx)); err != nil {
		return fmt.Errorf("install codebuild-breakpoint: %w", err)
	}
	r, out := io.Pipe()
	go func() {
		const script = `exec 3<>"$1"; while IFS= read -r line <&3; do printf '%s\n' "$line"; done`
		_, err := b.container.Exec(ctx, engine.Process{
			Args: []string{"sh", "-c", script, "buildlocal", debugDir + "/stops"}, Stdout: out,
		})
		_ = out.CloseWithError(err)
	}()
	go func() {
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			w.read(ctx, lines.Text())
		}
		_ = r.Close() // a line that is too long; no helper writes one
	}()
	return nil
}

// read acts on a line of a helper. Any process of the build can write to the pipe, so a line that
// no helper has written is ignored.
func (w *breakpoints) read(ctx context.Context, line string) {
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return
	}
	id, wrongID := strconv.Atoi(fields[1])
	pid, wrongPID := strconv.Atoi(fields[2])
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case fields[0] == "resume":
		if len(w.waiting) > 0 {
			w.waiting[0].resume()
		}
	case fields[0] == "stop" && wrongID == nil && wrongPID == nil && id > 0 && id <= w.pipes:
		stopped, resume := context.WithCancel(ctx)
		w.waiting = append(w.waiting, waitingBreakpoint{id, resume})
		go w.stopAt(ctx, stopped, &Breakpoint{ID: id, PID: pid})
	}
}

// stopAt stops the build at a breakpoint until the user continues it.
func (w *breakpoints) stopAt(ctx, stopped context.Context, at *Breakpoint) {
	s := Stop{Reason: AtBreakpoint, At: w.at()}
	if c := w.running.Load(); c != nil {
		s = stopAt(AtBreakpoint, *c)
	}
	s.Breakpoint = at
	w.pause(stopped, s)
	w.mu.Lock()
	for i, other := range w.waiting {
		if other.id == at.ID {
			other.resume()
			w.waiting = append(w.waiting[:i:i], w.waiting[i+1:]...)
			break
		}
	}
	w.mu.Unlock()
	if ctx.Err() != nil {
		return // the process ends with the container
	}
	if err := errors.Join(w.addPipes(ctx, 1), at.release(ctx, w.container)); err != nil {
		w.rec.note("codebuild-breakpoint cannot continue: %v.", err)
	}
}

// addPipes makes n more pipes, and with the first of them the pipe of the helpers.
func (w *breakpoints) addPipes(ctx context.Context, n int) error {
	w.mu.Lock()
	first := w.pipes + 1
	w.pipes += n
	w.mu.Unlock()
	var names []string
	if first == 1 {
		names = []string{"stops"}
	}
	for i := range n {
		names = append(names, fmt.Sprintf("go.%d", first+i))
	}
	return w.copyPipes(ctx, names...)
}

// copyPipes creates named pipes for the debugger that every user may use.
func (b *build) copyPipes(ctx context.Context, names ...string) error {
	const everyone = fs.ModeNamedPipe | 0o666
	files := []treecopy.File{shared("./")}
	for _, name := range names {
		files = append(files, treecopy.File{Name: "./" + name, Mode: everyone})
	}
	pipes := treecopy.Stream(files...)
	defer pipes.Close()
	return b.container.CopyIn(ctx, debugDir, pipes)
}

// noteBreakpoints says that commands have passed codebuild-breakpoint, which does nothing without a
// debugger.
func (b *build) noteBreakpoints() {
	if b.Pause != nil {
		return
	}
	n := 0
	b.rec.update(func(r *Record) {
		for _, c := range r.Commands {
			n += strings.Count(c.Text, "codebuild-breakpoint")
		}
	})
	if n > 0 {
		b.rec.note("%s passed; --debug stops there.", human.Count(n, "codebuild-breakpoint"))
	}
}
