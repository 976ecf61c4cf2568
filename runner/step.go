package runner

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/runner/shell"
)

// A command is stepped through by a trap of bash that is called before each statement. It writes a line
// to the pipe "steps", waits for a line in the pipe "step.go", and goes on; the line "run" ends that.
// One process of this program in the container connects both pipes with its standard streams, so a
// statement takes no process. The trap is inherited by functions and subshells. Two subshells that run
// at the same time may receive each other's line, which is the same for both.
const (
	stepPipe   = debugDir + "/steps"
	stepGoPipe = debugDir + "/step.go"
)

// stepTrap is the trap. It has no function and leaves no variable, because both would be exported.
// Statements of other files, and the lines after the command (%[1]d is its last one), are not stopped
// at. The variables and the directory are saved as codebuild-breakpoint does. Nothing is printed with
// set -x. The state of a subshell is in files of its own.
const stepTrap = `{ if ((LINENO <= %[1]d)) && [[ ${BASH_SOURCE[0]-} = "$0" ]]; then
{ export -p && printf "set -- complete\n"; } >|%[2]s/env.-$BASHPID; pwd >|%[2]s/dir.-$BASHPID
{ printf "step %%s %%s %%s %%.200s\n" "$LINENO" "$BASHPID" "$((${#BASH_LINENO[@]} + BASH_SUBSHELL))" ` +
	`"${BASH_COMMAND//[![:print:]]/ }" >%[3]s; IFS= read -r bl__s <&3; } 3<>%[4]s
case $bl__s in run) trap - DEBUG ;; esac; unset bl__s; fi; } 2>/dev/null`

// stepText returns a command that stops before each of its statements. The trap is set on the first
// line, so that lines keep their numbers. A shell that is not bash reports that, waits until it is known,
// and runs the command.
func stepText(text string) string {
	last := textLine + strings.Count(strings.TrimRight(text, "\n"), "\n")
	trap := fmt.Sprintf(stepTrap, last, debugDir, stepPipe, stepGoPipe)
	trap = strings.ReplaceAll(trap, "\n", "; ")
	trap = strings.NewReplacer("then; ", "then ", "{; ", "{ ").Replace(trap)
	return `if [ -n "${BASH_VERSION-}" ]; then set -T; trap ` + shell.Quote(trap) + ` DEBUG; else echo other >` +
		stepPipe + `; IFS= read -r bl__s <` + stepGoPipe + `; unset bl__s; fi; ` + text
}

// stepper connects the trap with the debugger.
type stepper struct {
	*build
	answers io.Writer
	lines   chan string
}

// startStepper starts the process that connects the pipes, once in a build.
func (b *build) startStepper(ctx context.Context) error {
	if b.steps != nil {
		return nil
	}
	if err := b.copyPipes(ctx, "steps", "step.go"); err != nil {
		return fmt.Errorf("create pipes in %s: %w", debugDir, err)
	}
	in, answers := io.Pipe()
	events, eventsOut := io.Pipe()
	go func() {
		const script = `exec 3<>"$1" 4<>"$2" 5<&0
while IFS= read -r line <&5; do printf '%s\n' "$line" >&4; done &
while IFS= read -r line <&3; do printf '%s\n' "$line"; done`
		_, err := b.container.Exec(ctx, engine.Process{
			Args: []string{"sh", "-c", script, "buildlocal", stepPipe, stepGoPipe}, Stdin: in, Stdout: eventsOut,
		})
		_ = in.CloseWithError(io.ErrClosedPipe)
		_ = eventsOut.CloseWithError(err)
	}()
	s := &stepper{build: b, answers: answers, lines: make(chan string)}
	go func() {
		defer close(s.lines)
		lines := bufio.NewScanner(events)
		for lines.Scan() {
			select {
			case s.lines <- lines.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	b.steps = s
	return nil
}

// follow stops the build before each statement of a command, until the command has ended.
func (s *stepper) follow(ctx context.Context, c *call) {
	for {
		select {
		case line, open := <-s.lines:
			if !open {
				return
			}
			s.read(ctx, c, line)
		case <-c.done:
			return
		case <-ctx.Done():
			return
		}
	}
}

// read acts on a line of the trap. Any process of the build can write to the pipe, so another line is
// ignored.
func (s *stepper) read(ctx context.Context, c *call, line string) {
	if line == "other" {
		s.rec.note("%s is not run by bash, so it runs as a whole.", c.at)
		_, _ = io.WriteString(s.answers, "run\n")
		return
	}
	const parts = 5
	fields := strings.SplitN(line, " ", parts)
	if len(fields) != parts || fields[0] != "step" {
		return
	}
	at, wrongLine := strconv.Atoi(fields[1])
	pid, wrongPID := strconv.Atoi(fields[2])
	depth, wrongDepth := strconv.Atoi(fields[3])
	if wrongLine != nil || wrongPID != nil || wrongDepth != nil || pid < 1 {
		return
	}
	stop := stopAt(AtStatement, *c)
	if c.style == buildspec.Literal {
		stop.Line = c.line + max(0, at-textLine)
	}
	stop.Text, stop.Depth, stop.Breakpoint = fields[4], depth, &Breakpoint{ID: -pid, PID: pid}
	stopped, ended := context.WithCancel(ctx)
	defer ended()
	go func() {
		select {
		case <-c.done: // it was killed
			ended()
		case <-stopped.Done():
		}
	}()
	answer := "run"
	if s.pause(stopped, stop).Into {
		answer = "go"
	}
	select {
	case <-c.done: // nothing reads the answer
	default:
		_, _ = io.WriteString(s.answers, answer+"\n")
	}
}
