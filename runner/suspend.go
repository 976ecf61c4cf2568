package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/runner/shell"
)

// signalScript sends a signal to the shell of the running command and to all its descendants, the
// parents first, so that a stopped one starts no more. Only builtins are used. The processes are not
// found by their group, because servers that earlier commands have started are in the same one.
const signalScript = `read -r top <"$2" && kill -"$1" "$top" || exit 1
signal=$1 all=" $top " more=1
while [ "$more" ]; do
  more=
  for file in /proc/[0-9]*/stat; do
    pid=${file#/proc/}
    pid=${pid%/stat}
    case $all in *" $pid "*) continue ;; esac
    read -r line 2>/dev/null <"$file" || continue
    set -- ${line##*) }
    case $all in *" $2 "*) kill -"$signal" "$pid" 2>/dev/null; all="$all$pid " more=1 ;; esac
  done
done`

// Suspend suspends the running command, and the build stops at it; everything else in the build goes
// on. It returns false if no command of the buildspec runs.
func (l *Live) Suspend() bool {
	if l.build == nil {
		return false
	}
	c := l.build.running.Load()
	if c == nil {
		return false
	}
	select {
	case l.build.suspends <- c:
	default: // the user asks twice
	}
	return true
}

// serveSuspends suspends commands until the build ends.
func (b *build) serveSuspends(ctx context.Context) {
	for {
		select {
		case c := <-b.suspends:
			b.suspend(ctx, c)
		case <-ctx.Done():
			return
		}
	}
}

// suspend stops the build at a command that it suspends until there is an answer.
func (b *build) suspend(ctx context.Context, c *call) {
	if err := b.stopCommand(ctx, c); err != nil {
		b.rec.note("%s cannot be paused: %v.", c.at, err)
		return
	}
	if b.running.Load() != c {
		return
	}
	stopped, ended := context.WithCancel(ctx)
	defer ended()
	go func() {
		select {
		case <-c.done: // it was killed
			ended()
		case <-stopped.Done():
		}
	}()
	b.pause(stopped, stopAt(Paused, *c))
	// Also if the build is to end: a stopped process does not act on SIGTERM.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	if err := b.signalCommand(ctx, "CONT"); err != nil && b.running.Load() == c {
		b.rec.note("%s cannot continue: %v.", c.at, err)
	}
}

// stopCommand suspends the processes of a command. The shell of one that has just begun may not have
// reported itself yet.
func (b *build) stopCommand(ctx context.Context, c *call) error {
	const tries, pause = 40, 50 * time.Millisecond
	var err error
	for range tries {
		if b.running.Load() != c {
			return nil
		}
		if err = b.signalCommand(ctx, "STOP"); err == nil {
			return nil
		}
		select {
		case <-c.done:
			return nil
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
	return err
}

// endText ends a text of the user that runs as a command, as Ctrl-C would, and then with other signals:
// the next one needs its shell.
func (b *build) endText(ctx context.Context, session *shell.Session) {
	ctx = context.WithoutCancel(ctx)
	for _, name := range []string{"INT", "TERM", "KILL"} {
		limited, cancel := context.WithTimeout(ctx, stopGrace)
		_ = b.signalCommand(limited, name) // which fails if it has just ended
		_, err := session.Wait(limited)
		cancel()
		if err == nil || !errors.Is(err, context.DeadlineExceeded) {
			return
		}
	}
}

// signalCommand sends a signal to the processes of the running command.
func (b *build) signalCommand(ctx context.Context, name string) error {
	var reason strings.Builder
	exit, err := b.container.Exec(ctx, engine.Process{
		Args:   []string{"sh", "-c", signalScript, "buildlocal", name, StateDir + "/" + shell.PIDFile},
		Stderr: &reason,
	})
	if err == nil && exit != 0 {
		err = fmt.Errorf("its processes were not found: %s", strings.TrimSpace(reason.String()))
	}
	return err
}
