package dap

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-dap"

	"github.com/buildlocal/buildlocal/debugger"
	"github.com/buildlocal/buildlocal/runner"
)

// debugConsole is the console of the client as a writer.
type debugConsole struct {
	*session
	category string
}

// Write implements io.Writer.
func (c debugConsole) Write(p []byte) (int, error) {
	c.event("output", dap.OutputEventBody{Category: c.category, Output: string(p)})
	return len(p), nil
}

// answer answers the stop with a command of the prompt.
func (s *session) answer(ctx context.Context, line string) error {
	r, w, err := s.stopped()
	if err != nil {
		return err
	}
	return r.guest.Do(ctx, w, line, debugConsole{s, "console"})
}

// stepOut lets the build go on until a function of a command has ended, or the command.
func (s *session) stepOut() error {
	r, w, err := s.stopped()
	if err != nil {
		return err
	}
	return r.guest.StepOut(w)
}

// stepBack goes back to the snapshot at the previous boundary of phases. There is nothing between two
// boundaries, so a client that continues backward gets there too.
func (s *session) stepBack() error {
	r, w, err := s.stopped()
	if err != nil {
		return err
	}
	return r.guest.StepBack(w, debugConsole{s, "console"})
}

// pause suspends the running command.
func (s *session) pause() error {
	r, err := s.current()
	if err != nil {
		return err
	}
	if w, _, _ := r.guest.State(); w != nil {
		return errors.New("the build is stopped already")
	}
	if live := r.build.Live(); live == nil || !live.Suspend() {
		return errors.New("no command of the buildspec is running")
	}
	return nil
}

// restartFrame runs the command of the stop again, with the buildspec and the source as they are now.
func (s *session) restartFrame(ctx context.Context, frame int) error {
	if frame != commandFrame {
		return errors.New("only the command at which the build is stopped can be run again")
	}
	_, w, err := s.stopped()
	switch {
	case err != nil:
		return err
	case w.Reason == runner.BeforeCommand:
		return fmt.Errorf("%s has not run yet", w.At)
	}
	return s.answer(ctx, "retry")
}

// gotoTargets returns the commands on a line, or the next one below it.
func (s *session) gotoTargets(a dap.GotoTargetsArguments) (any, error) {
	r, err := s.current()
	if err != nil {
		return nil, err
	}
	body := dap.GotoTargetsResponseBody{Targets: []dap.GotoTarget{}}
	if a.Source.Path != "" && !sameFile(a.Source.Path, r.build.Source.Path) {
		return body, nil
	}
	p := r.build.Plan()
	at, _, err := p.Resolve(runner.Where{Line: s.ourLine(a.Line)})
	if err != nil {
		return nil, err
	}
	for i, place := range p.Places() {
		if place.At == at[0] {
			body.Targets = append(body.Targets, dap.GotoTarget{
				Id: i + 1, Label: place.At + "  " + firstLineOf(s.mask(place.Text)), Line: s.clientLine(place.Line),
				EndLine: s.clientLine(lastLine(place)),
			})
		}
	}
	return body, nil
}

// jump goes on at a target, and stops there.
func (s *session) jump(target int) error {
	r, w, err := s.stopped()
	if err != nil {
		return err
	}
	places := r.build.Plan().Places()
	if target < 1 || target > len(places) {
		return fmt.Errorf("there is no target %d", target)
	}
	at := places[target-1].At
	s.mu.Lock()
	r.target = at
	s.mu.Unlock()
	err = r.guest.Goto(w, at, debugConsole{s, "console"})
	if err != nil {
		s.mu.Lock()
		r.target = ""
		s.mu.Unlock()
	}
	return err
}

// exceptionInfo explains why the build has stopped.
func (s *session) exceptionInfo() (any, error) {
	r, w, err := s.stopped()
	if err != nil {
		return nil, err
	}
	body := dap.ExceptionInfoResponseBody{
		ExceptionId: "stopped", Description: "stopped " + debugger.Describe(w.Stop), BreakMode: "userUnhandled",
	}
	switch {
	case w.Failed():
		body.ExceptionId = fmt.Sprintf("exit status %d", w.Exit)
		body.Description = fmt.Sprintf("%s failed with exit status %d: %s", w.At, w.Exit, w.Text)
	case w.Reason == runner.AtTimeout:
		body.ExceptionId = "time limit"
	}
	details := dap.ExceptionDetails{TypeName: body.ExceptionId, StackTrace: r.lastOutput()}
	if w.Problem != nil {
		details.Message = w.Problem.Message
	}
	for _, hint := range w.Hints {
		if details.Message != "" {
			details.Message += "\n"
		}
		details.Message += hint
	}
	body.Details = &details
	return body, nil
}

// lastOutput returns the end of the output of the last command.
func (r *run) lastOutput() string {
	const most = 4096
	if live := r.build.Live(); live != nil {
		text := live.Output()
		return text[max(0, len(text)-most):]
	}
	return ""
}
