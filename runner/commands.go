package runner

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner/shell"
)

// commands runs the commands of the current phase, repeated as on-failure says, and then
// those of finally.
func (b *build) commands(ctx context.Context) result {
	t := b.rec.currentPhase()
	phase := b.phaseOf(t)
	if len(phase.Commands)+len(phase.Finally) > 0 {
		if err := b.refresh(b.shells.of(phase.user())); err != nil {
			return b.shellLost(ctx, err)
		}
	}
	b.observe()
	defer func() { b.rec.setOpened(b.observer.opened()) }()
	res := b.repeat(ctx, phase)
	if res.next == "" && (res.status == "" || res.status == Failed) {
		last := b.list(ctx, t, call{attempt: 1, round: 1, finally: true}, b.takeTarget(t, true))
		// A failure of finally does not replace a failure of the commands; a stop, a
		// timeout and a fault do.
		if res.status == "" || last.status != "" && last.status != Failed || last.next != "" {
			res = last
		}
	}
	if done := b.pauseAfterPhase(ctx, phase, &res); done || res.next != "" {
		return res
	}
	if t == PostBuild && (res.status == "" || res.status == Failed) {
		exported := b.export(ctx)
		if res.status == "" {
			res = exported
		}
	}
	return redirect(phase, res)
}

// repeat runs the commands of a phase, as often as on-failure says.
func (b *build) repeat(ctx context.Context, phase Phase) result {
	from := b.takeTarget(phase.Type, false)
	for attempt := b.firstAttempt(); ; attempt++ {
		res := b.list(ctx, phase.Type, call{attempt: attempt, round: attempt}, from)
		if !again(phase.OnFailure, res, attempt) {
			return res
		}
		b.rec.note("%s: retry %d of %d.", phase.Type, attempt, phase.OnFailure.Retries)
		from = 0
	}
}

// firstAttempt returns the number of the attempt with which a phase begins: 1, except for the phase
// in which a build goes on.
func (b *build) firstAttempt() int {
	if b.resume == nil {
		return 1
	}
	return max(1, b.resume.Failed.Attempt)
}

// refresh sets the variable by which commands learn whether the build has succeeded so
// far. It does not change within a phase (not documented; so in all public logs).
func (b *build) refresh(session *shell.Session) error {
	value := "0"
	if b.rec.succeeding() {
		value = "1"
	}
	return session.Set(shell.Export("CODEBUILD_BUILD_SUCCEEDING", value))
}

// again reports whether a failed phase is repeated.
func again(o buildspec.OnFailure, res result, attempt int) bool {
	return res.status == Failed && o.Action == buildspec.Retry && attempt <= o.Retries &&
		(o.Match == nil || o.Match.MatchString(res.context.Message))
}

// redirect changes the phase that follows a failed phase as on-failure says. After
// CONTINUE the build goes on and still ends FAILED (observed: the next phases see that it
// does not succeed). After ABORT no further commands run; UPLOAD_ARTIFACTS is attempted
// if it is attempted after a failure.
func redirect(phase Phase, res result) result {
	if res.status != Failed {
		return res
	}
	following := map[PhaseType]PhaseType{
		Install: PreBuild, PreBuild: Build, Build: PostBuild, PostBuild: UploadArtifacts,
	}
	switch phase.OnFailure.Action {
	case buildspec.Continue:
		res.next = following[phase.Type]
	case buildspec.Abort:
		if phase.Type == Build {
			res.next = UploadArtifacts
		}
	}
	return res
}

// call is one command to run.
type call struct {
	session *shell.Session
	text    string
	line    int    // in the buildspec; 0 for a command of the image
	at      string // see Event.At
	index   int    // in its list, from 1; 0 for a command of the image
	user    string // who runs it; empty for root
	finally bool
	attempt int  // from 1
	round   int  // of the phase, from 1
	earlier bool // it has failed in another process
	byHand  bool // the user runs it again, or with another text
	into    bool // it stops before its statements
	style   buildspec.Style
	done    chan struct{} // closed when it has ended
	// problem returns the line of the buildspec that failed, given the command's output;
	// nil for a command of the image.
	problem func(output string) *diag.Problem
}

// ImagePlace is the place (Event.At) of the commands that select a runtime of the image.
const ImagePlace = "image"

// CommandPlace returns the place of the nth command of a phase, from 1.
func CommandPlace(phase PhaseType, n int, finally bool) string {
	name := strings.ToLower(string(phase))
	if finally {
		name += ":finally"
	}
	return fmt.Sprintf("%s:%d", name, n)
}

// command runs one command. The zero result is success.
func (b *build) command(ctx context.Context, c call) result {
	if res, done := ended(ctx); done {
		return res
	}
	began := b.Now()
	e := Event{Kind: CommandBegan, Text: c.text, Line: c.line, At: c.at, Finally: c.finally, Attempt: c.attempt}
	b.rec.notify(e)
	b.rec.resetOutput()
	window := b.meter.open(ctx)
	b.enter(&c)
	exit, err := c.session.Run(ctx, b.textOf(ctx, &c))
	if err != nil && ctx.Err() != nil {
		exit = b.interrupt(ctx, c.session)
	}
	if e.Lost = err != nil && ctx.Err() == nil; e.Lost {
		exit = killed
	}
	b.leave(&c)
	b.rec.flush()
	e.Kind, e.Exit, e.Duration = CommandEnded, exit, b.Now().Sub(began)
	used := b.meter.close(ctx, window)
	e.Why = explainOOM(b.plan, c.text, exit, used)
	phase := b.rec.currentPhase()
	b.rec.update(func(r *Record) {
		r.Commands = append(r.Commands, CommandRecord{
			Phase: phase, At: c.at, Text: c.text, Line: c.line, Finally: c.finally, Attempt: c.attempt, Start: began,
			ByHand: c.byHand, Exit: exit, Lost: e.Lost, Milliseconds: e.Duration.Milliseconds(), Used: used,
		})
	})
	switch {
	case exit != 0 && err == nil:
		b.explainFailure(ctx, c, &e)
	case err != nil && errors.Is(context.Cause(ctx), ErrTimedOut):
		unshown := e // the end of the phase says enough
		b.explainFailure(ctx, c, &unshown)
	}
	if res, done := ended(ctx); done && exit != 0 {
		e.Status = res.status
	}
	b.failed = e
	b.rec.notify(e)
	switch {
	case err != nil:
		return b.timedOut(c, b.shellLost(ctx, err))
	case exit != 0:
		// A command that failed after a stop usually failed because of it.
		if res, done := ended(ctx); done {
			return b.timedOut(c, res)
		}
		return c.failed(exit)
	}
	return result{}
}

// textOf returns the text to run for a command. One that the user steps into stops before its
// statements.
func (b *build) textOf(ctx context.Context, c *call) string {
	if !c.into {
		return c.text
	}
	if err := b.startStepper(ctx); err != nil {
		b.rec.note("%s runs as a whole: %v.", c.at, err)
		return c.text
	}
	go b.steps.follow(ctx, c)
	return stepText(c.text)
}

// timedOut adds the position of the running command to the result of a phase that timed out.
func (b *build) timedOut(c call, res result) result {
	if res.status == TimedOut && c.problem != nil {
		res.problem = c.problem("")
		res.problem.Message = fmt.Sprintf("the time limit of %s was reached", human.Duration(b.plan.Timeout))
	}
	return res
}

// Exit statuses of a shell that was ended by SIGTERM, and of a command whose container ended.
const (
	terminated = 128 + 15
	killed     = 128 + 9
)

// interrupt sends SIGTERM to all processes of the container, waits a little for the
// running command, and returns its exit status. Processes that ignore the signal end when
// the container is removed.
func (b *build) interrupt(ctx context.Context, session *shell.Session) int {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	go func() {
		select {
		case <-b.Hurry:
			cancel()
		case <-ctx.Done():
		}
	}()
	b.signal(ctx, "TERM")
	exit, err := session.Wait(ctx)
	if err != nil {
		return terminated
	}
	return exit
}

// signal sends a signal to all processes of the container. The build's shells ignore it.
func (b *build) signal(ctx context.Context, name string) {
	_, _ = b.container.Exec(ctx, engine.Process{Args: []string{"sh", "-c", "kill -" + name + " -1"}})
}

// shellLost returns the result of a phase after the shell has exited, its state was
// damaged, or ctx is done.
func (b *build) shellLost(ctx context.Context, err error) result {
	if res, done := ended(ctx); done {
		return res
	}
	var known *engine.Fault
	var state *shell.StateError
	if errors.As(err, &state) {
		err = &engine.Fault{Kind: engine.Died, Err: err,
			Message: "run a command: " + state.Reason,
			Hint:    "Free space in " + StateDir + ", which is in memory, and do not change the files there."}
	}
	if errors.Is(err, shell.ErrEnded) && !errors.As(err, &known) {
		err = &engine.Fault{Kind: engine.Died, Err: err,
			Message: fmt.Sprintf("Build container found dead before completing the build: %v", err),
			Hint:    "A command may have killed the build's shell, or the host is out of memory."}
	}
	return b.fault(ctx, "", err)
}

// export records the exported variables after the last command. Secrets, and names that
// begin with AWS_, cannot be exported (documented). A variable that is not set is skipped.
func (b *build) export(ctx context.Context) result {
	secret := map[string]bool{}
	for _, v := range b.plan.Variables {
		secret[v.Name] = v.Secret || v.Stored != nil
	}
	for _, name := range b.plan.Exported {
		if secret[name] || strings.HasPrefix(name, "AWS_") {
			b.rec.note("%s not exported: CodeBuild exports neither secrets nor AWS_ variables.", name)
			continue
		}
		value, set, err := b.shells.variable(ctx, name)
		if err != nil {
			return b.shellLost(ctx, err)
		}
		if set {
			b.rec.update(func(r *Record) { r.Exported = append(r.Exported, NameValue{name, value}) })
		}
	}
	return result{}
}

// maxFile is the size of the largest file that readFile reads, in bytes.
const maxFile = 1 << 20

// readFile returns a file of the container. The error wraps fs.ErrNotExist if there is no
// such file.
func readFile(ctx context.Context, c engine.Container, name string) ([]byte, error) {
	stream, err := c.CopyOut(ctx, name)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	r := tar.NewReader(stream)
	if _, err := r.Next(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return io.ReadAll(io.LimitReader(r, maxFile))
}
