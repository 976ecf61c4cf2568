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
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner/shell"
)

// commands runs the phase that the build is in: its commands, again as often as
// on-failure says, and then finally.
func (b *build) commands(ctx context.Context) result {
	phase := b.plan.phase(b.phase)
	if len(phase.Commands)+len(phase.Finally) > 0 {
		if err := b.refresh(b.sessions[phase.user()]); err != nil {
			return b.broken(ctx, err)
		}
	}
	res := result{}
	for attempt := 1; ; attempt++ {
		res = b.list(ctx, phase, phase.Commands, false, attempt)
		if !again(phase.OnFailure, res, attempt) {
			break
		}
		b.note("%s: retry %d of %d.", phase.Type, attempt, phase.OnFailure.Retries)
	}
	if res.status == "" || res.status == Failed {
		last := b.list(ctx, phase, phase.Finally, true, 1)
		if res.status == "" || last.status != "" && last.status != Failed {
			res = last
		}
	}
	if res.status == "" && b.phase == PostBuild {
		res = b.export(ctx)
	} else if b.phase == PostBuild && res.status == Failed {
		b.export(ctx)
	}
	return redirect(phase, res)
}

// refresh tells the commands of a phase whether all went well before it. Within
// a phase the variable stays as it is (not documented; so in every dump).
func (b *build) refresh(session *shell.Session) error {
	value := "1"
	if b.record.Status != Succeeded {
		value = "0"
	}
	return session.Set(shell.Export("CODEBUILD_BUILD_SUCCEEDING", value))
}

// again reports whether a failed phase is run once more.
func again(o buildspec.OnFailure, res result, attempt int) bool {
	return res.status == Failed && o.Action == buildspec.Retry && attempt <= o.Retries &&
		(o.Match == nil || o.Match.MatchString(res.context.Message))
}

// redirect changes what follows a failed phase as on-failure says. After
// CONTINUE the build goes on and still ends FAILED (observed: the next phases
// see that it does not succeed). After ABORT no further phase has commands;
// UPLOAD_ARTIFACTS is attempted where it is after a failure.
func redirect(phase Phase, res result) result {
	if res.status != Failed {
		return res
	}
	following := map[PhaseType]PhaseType{Install: PreBuild, PreBuild: Build, Build: PostBuild, PostBuild: UploadArtifacts}
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

// list runs commands until one fails.
func (b *build) list(ctx context.Context, phase Phase, commands []buildspec.Command, finally bool, attempt int) result {
	for _, c := range commands {
		res := b.command(ctx, call{
			session: b.sessions[phase.user()], text: c.Text, line: c.Line, finally: finally, attempt: attempt,
			place: func(printed string) string { return b.plan.failed(c, printed, b.mask) },
		})
		if res.status != "" {
			return res
		}
	}
	return result{}
}

// call is one command to run.
type call struct {
	session *shell.Session
	text    string
	line    int
	finally bool
	attempt int
	place   func(printed string) string // where it stands, for a person; nil for a command of the image
}

// command runs one command; the zero result is success.
func (b *build) command(ctx context.Context, c call) result {
	if res, over := ended(ctx); over {
		return res
	}
	began := b.Now()
	e := Event{Kind: CommandBegan, Text: c.text, Line: c.line, Finally: c.finally, Attempt: c.attempt}
	b.notify(e)
	b.forget()
	window := b.meter.open(ctx)
	exit, err := c.session.Run(ctx, c.text)
	if err != nil && ctx.Err() != nil {
		exit = b.interrupt(ctx, c.session)
	}
	b.flush()
	e.Kind, e.Exit, e.Duration = CommandEnded, exit, b.Now().Sub(began)
	if exit != 0 && err == nil && c.place != nil {
		e.Place = c.place(b.lastPrinted())
	}
	used := b.meter.close(ctx, window)
	e.Why = b.starved(c.text, exit, used)
	b.record.Commands = append(b.record.Commands, CommandRecord{
		Phase: b.phase, Text: b.mask.Text(c.text), Line: c.line, Exit: exit, Milliseconds: e.Duration.Milliseconds(), Used: used,
	})
	b.notify(e)
	switch {
	case err != nil:
		return b.broken(ctx, err)
	case exit != 0:
		reason := fmt.Sprintf("Error while executing command: %s. Reason: exit status %d", strings.TrimRight(c.text, "\n"), exit)
		return result{status: Failed, context: Context{CommandError, reason}}
	}
	return result{}
}

// interrupt asks all that runs in the container to end, and waits a little. The
// container is removed soon; what does not listen ends then.
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
	_, _ = b.container.Exec(ctx, engine.Process{Args: []string{"sh", "-c", "kill -TERM -1"}})
	exit, err := session.Wait(ctx)
	if err != nil {
		return 128 + 15
	}
	return exit
}

// broken ends a phase whose shell is not there any more, or whose context ended.
func (b *build) broken(ctx context.Context, err error) result {
	if res, over := ended(ctx); over {
		return res
	}
	var known *engine.Fault
	var state *shell.StateError
	if errors.As(err, &state) {
		err = &engine.Fault{Kind: engine.Died, Err: err,
			Message: "run a command: " + state.Reason,
			Hint:    "Free space in " + stateDir + ", which is in memory, and leave the files there to the build's shell."}
	}
	if errors.Is(err, shell.ErrEnded) && !errors.As(err, &known) {
		err = &engine.Fault{Kind: engine.Died, Err: err,
			Message: fmt.Sprintf("Build container found dead before completing the build: %v", err),
			Hint:    "A command may have killed the build's shell, or the host is out of memory."}
	}
	return b.fault(ctx, "", err)
}

// export reads the exported variables where all commands are done. Secrets, and
// names that begin with AWS_, cannot be exported (documented); a variable that
// is not set is left out.
func (b *build) export(ctx context.Context) result {
	var secret = map[string]bool{}
	for _, v := range b.plan.Variables {
		secret[v.Name] = v.Secret || v.Stored != nil
	}
	for _, name := range b.plan.Exported {
		if secret[name] || strings.HasPrefix(name, "AWS_") {
			b.note("%s not exported: CodeBuild exports neither secrets nor AWS_ variables.", name)
			continue
		}
		if !project.ValidName(name) {
			continue
		}
		value, exit, err := b.sessions[""].Capture(ctx, fmt.Sprintf(`[ -n "${%s+x}" ] && printf %%s "$%s"`, name, name))
		if err != nil {
			return b.broken(ctx, err)
		}
		if exit == 0 {
			b.record.Exported = append(b.record.Exported, NameValue{name, b.mask.Text(value)})
		}
	}
	return result{}
}

// finalize removes the container; the build's time does not count here.
func (b *build) finalize(ctx context.Context) result {
	if b.container == nil {
		return result{}
	}
	if b.Keep && b.failed == nil {
		b.record.Kept = true
		b.note("Container kept: docker exec -it %s sh; buildlocal prune removes it.", b.Name)
		return result{}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
	defer cancel()
	b.meter.end()
	b.stopDocker(ctx)
	if err := b.container.Close(ctx); err != nil {
		err = fmt.Errorf("remove the build's container: %w", err)
		b.failed = errors.Join(b.failed, err)
		return result{status: Fault, context: Context{Message: err.Error()}}
	}
	return result{}
}

// readFile returns a file of the container.
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
	return io.ReadAll(io.LimitReader(r, 1<<20))
}

var _ io.Writer = (*build)(nil)
