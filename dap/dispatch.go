package dap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/go-dap"
)

// dispatch carries a request out. It returns the body of the response, and a function to call after it
// was sent, which may end the session.
func (s *session) dispatch(ctx context.Context, r request) (body any, after func() error, err error) {
	if err := s.check(r); err != nil {
		if _, is := r.Message.(*dap.AttachRequest); is {
			s.relayed <- false // the session is here
		}
		return nil, nil, err
	}
	switch m := r.Message.(type) {
	case *dap.InitializeRequest:
		return s.initialize(m, r.raw), nil, nil
	case *dap.LaunchRequest:
		return nil, s.initialized, s.launch(ctx, m.Arguments)
	case *dap.AttachRequest:
		err := s.attach(ctx, m, r.raw)
		if err != errRelayed {
			s.relayed <- false // the session is here
		}
		return nil, s.initialized, err
	case *dap.ConfigurationDoneRequest:
		return nil, nil, s.configured()
	case *dap.RestartRequest:
		return nil, nil, s.restart(ctx, m)
	case *dap.TerminateRequest:
		return nil, nil, s.terminate()
	case *dap.DisconnectRequest:
		s.disconnect(m, r.raw)
		return nil, func() error { return errDisconnected }, nil
	case *dap.CancelRequest:
		return nil, nil, nil // read has canceled
	}
	if body, handled, err := s.dispatchBreakpoints(ctx, r.Message); handled {
		return body, nil, err
	}
	if body, handled, err := s.dispatchControl(ctx, r.Message); handled {
		return body, nil, err
	}
	body, err = s.dispatchState(ctx, r.Message)
	return body, nil, err
}

// check returns an error for a request that comes too early, or about a thread that does not exist. A client
// may leave the thread out, because there is only one.
func (s *session) check(r request) error {
	s.mu.Lock()
	hello := s.hello
	s.mu.Unlock()
	switch r.Message.(type) {
	case *dap.InitializeRequest:
		if hello != nil {
			return errors.New("initialize was sent already")
		}
		return nil
	case *dap.DisconnectRequest, *dap.CancelRequest:
		return nil
	}
	var given struct {
		Arguments struct {
			ThreadID int `json:"threadId"`
		} `json:"arguments"`
	}
	_ = json.Unmarshal(r.raw, &given) // that of a request without a thread may have any type
	number := given.Arguments.ThreadID
	switch {
	case hello == nil:
		return errors.New("the first request must be initialize")
	case number != 0 && number != thread:
		return fmt.Errorf("there is no thread %d; the build is thread %d", number, thread)
	}
	return nil
}

// initialized reports to the client that breakpoints can be set. It is sent after the build is known, so that
// each breakpoint can be verified.
func (s *session) initialized() error {
	s.event("initialized", nil)
	return nil
}

// breakpointsBody is the body of some responses.
type breakpointsBody struct {
	Breakpoints []dap.Breakpoint `json:"breakpoints"`
}

// dispatchBreakpoints carries out requests about breakpoints.
func (s *session) dispatchBreakpoints(ctx context.Context, m dap.Message) (body any, handled bool, err error) {
	switch m := m.(type) {
	case *dap.SetBreakpointsRequest:
		return s.setBreakpoints(ctx, m.Arguments), true, nil
	case *dap.SetFunctionBreakpointsRequest:
		return breakpointsBody{s.setFunctionBreakpoints(ctx, m.Arguments)}, true, nil
	case *dap.SetExceptionBreakpointsRequest:
		return breakpointsBody{s.setExceptionBreakpoints(ctx, m.Arguments)}, true, nil
	case *dap.BreakpointLocationsRequest:
		body, err := s.breakpointLocations(ctx, m.Arguments)
		return body, true, err
	}
	return nil, false, nil
}

// dispatchControl carries out requests that let the build go on or stop.
func (s *session) dispatchControl(ctx context.Context, m dap.Message) (body any, handled bool, err error) {
	switch m := m.(type) {
	case *dap.ContinueRequest:
		return dap.ContinueResponseBody{AllThreadsContinued: true}, true, s.answer(ctx, "continue")
	case *dap.NextRequest:
		return nil, true, s.answer(ctx, "next")
	case *dap.StepInRequest:
		return nil, true, s.answer(ctx, "step")
	case *dap.StepOutRequest:
		return nil, true, s.stepOut()
	case *dap.StepBackRequest, *dap.ReverseContinueRequest:
		return nil, true, s.stepBack()
	case *dap.PauseRequest:
		return nil, true, s.pause()
	case *dap.RestartFrameRequest:
		return nil, true, s.restartFrame(ctx, m.Arguments.FrameId)
	case *dap.GotoTargetsRequest:
		body, err := s.gotoTargets(m.Arguments)
		return body, true, err
	case *dap.GotoRequest:
		return nil, true, s.jump(m.Arguments.TargetId)
	}
	return nil, false, nil
}

// dispatchState carries out requests that look into the build and change its state.
func (s *session) dispatchState(ctx context.Context, m dap.Message) (any, error) {
	switch m := m.(type) {
	case *dap.ThreadsRequest:
		return s.threads(), nil
	case *dap.StackTraceRequest:
		return s.stackTrace(m.Arguments)
	case *dap.ScopesRequest:
		return s.scopes(m.Arguments)
	case *dap.VariablesRequest:
		return s.listVariables(ctx, m.Arguments)
	case *dap.SetVariableRequest:
		return s.setVariable(ctx, m.Arguments)
	case *dap.SetExpressionRequest:
		return s.setExpression(ctx, m.Arguments)
	case *dap.EvaluateRequest:
		return s.evaluate(ctx, m.Arguments)
	case *dap.CompletionsRequest:
		return s.completions(ctx, m.Arguments)
	case *dap.ExceptionInfoRequest:
		return s.exceptionInfo()
	case *dap.LoadedSourcesRequest:
		return s.loadedSources(), nil
	case *dap.SourceRequest:
		return s.sourceText(m.Arguments)
	}
	request := m.(dap.RequestMessage).GetRequest()
	return nil, unsupportedError(request.Command)
}

// unsupportedError is the error for a request of the protocol that makes no sense for a build.
type unsupportedError string

// Error names the request.
func (e unsupportedError) Error() string { return "the request \"" + string(e) + "\" is not supported" }
