package dap

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/google/go-dap"

	"github.com/buildlocal/buildlocal/debugger"
)

// run is a build with the part of the session that shows it.
type run struct {
	*session
	build    *Build
	guest    *debugger.Guest
	member   *member
	launched bool // by this session
	begun    bool // Run was called
	quiet    bool // its end is not reported: the build is started again

	exit  int
	ended chan struct{} // closed when the build has ended
	shown chan struct{} // closed when the client knows

	variables variableCache
	target    string            // where the client has jumped; guarded by mu
	announced *debugger.Waiting // the stop that the client knows; guarded by mu
}

// initialize answers with the abilities of this session. Step back is not among them: the snapshots
// that it needs are announced with an event of the type capabilities, when the first one exists.
func (s *session) initialize(r *dap.InitializeRequest, raw json.RawMessage) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client, s.hello = r.Arguments, raw
	var given struct {
		Arguments struct {
			LinesStartAt1   *bool `json:"linesStartAt1"`
			ColumnsStartAt1 *bool `json:"columnsStartAt1"`
			ANSI            bool  `json:"supportsANSIStyling"` // which is newer than the package of the types
		} `json:"arguments"`
	}
	if json.Unmarshal(raw, &given) == nil { // both are true by default
		s.client.LinesStartAt1 = s.client.LinesStartAt1 || given.Arguments.LinesStartAt1 == nil
		s.ansi = given.Arguments.ANSI
		s.client.ColumnsStartAt1 = s.client.ColumnsStartAt1 || given.Arguments.ColumnsStartAt1 == nil
	}
	condition := "a command that succeeds"
	filter := func(filter, label, description string, on bool) dap.ExceptionBreakpointsFilter {
		return dap.ExceptionBreakpointsFilter{
			Filter: filter, Label: label, Description: description, Default: on, SupportsCondition: true,
			ConditionDescription: condition,
		}
	}
	all := dap.Capabilities{
		SupportsConfigurationDoneRequest: true, SupportsFunctionBreakpoints: true,
		SupportsConditionalBreakpoints: true, SupportsHitConditionalBreakpoints: true, SupportsLogPoints: true,
		SupportsEvaluateForHovers: true, SupportsSetVariable: true, SupportsSetExpression: true,
		SupportsRestartFrame: true, SupportsGotoTargetsRequest: true, SupportsCompletionsRequest: true,
		CompletionTriggerCharacters: []string{"$", ":", "/", " "},
		SupportsRestartRequest:      true, SupportsExceptionInfoRequest: true, SupportTerminateDebuggee: true,
		SupportsLoadedSourcesRequest: true, SupportsTerminateRequest: true, SupportsCancelRequest: true,
		SupportsBreakpointLocationsRequest: true, SupportsExceptionFilterOptions: true,
		ExceptionBreakpointFilters: []dap.ExceptionBreakpointsFilter{
			filter("failure", "Failed commands", "Stop after a command has failed", true),
			filter("breakpoint", "codebuild-breakpoint", "Stop in codebuild-breakpoint", true),
			filter("failure:each", "Each failed attempt", "Stop also if on-failure repeats the phase", false),
			filter("timeout", "Time limit", "Stop at the time limit instead of ending the build", false),
		},
	}
	return struct {
		dap.Capabilities
		ANSI bool `json:"supportsANSIStyling"`
	}{all, true}
}

// launch prepares a build. It begins when the client has configured everything.
func (s *session) launch(ctx context.Context, arguments json.RawMessage) error {
	if s.Launch == nil {
		return errors.New("this session is for a build that runs already: send attach instead of launch")
	}
	s.mu.Lock()
	before := s.run
	s.mu.Unlock()
	if before != nil {
		return errors.New("a build was launched already; restart starts it again")
	}
	all := map[string]json.RawMessage{}
	if len(arguments) > 0 {
		if err := json.Unmarshal(arguments, &all); err != nil {
			return fmt.Errorf("the arguments of launch are not an object: %w", err)
		}
	}
	return s.prepare(ctx, all)
}

// prepare makes a build ready to run.
func (s *session) prepare(ctx context.Context, arguments map[string]json.RawMessage) error {
	live, abandon := context.WithCancelCause(s.ctx)
	defer context.AfterFunc(ctx, func() { abandon(context.Cause(ctx)) })()
	build, err := s.Launch(live, maps.Clone(arguments), &messages{session: s})
	if err != nil {
		abandon(nil)
		return err
	}
	s.mu.Lock()
	s.launched = arguments
	s.mu.Unlock()
	noDebug := false
	_ = json.Unmarshal(arguments["noDebug"], &noDebug) // false for another type
	s.begin(build, true, noDebug)
	return nil
}

// begin makes a build that of the session.
func (s *session) begin(build *Build, launched, noDebug bool) {
	s.mu.Lock()
	r := &run{
		session: s, build: build, launched: launched, ended: make(chan struct{}), shown: make(chan struct{}),
		guest: build.Join(cmp.Or(s.client.ClientName, s.client.ClientID, "an editor")), member: build.Hub.join(),
	}
	s.run = r
	s.mu.Unlock()
	if noDebug {
		s.mu.Lock()
		s.marks = map[string][]*mark{}
		s.mu.Unlock()
	}
	s.remark(r)
}

// attach makes the build of this process that of the session, or passes the session on to the process
// of another build.
func (s *session) attach(ctx context.Context, request *dap.AttachRequest, raw json.RawMessage) error {
	var arguments struct {
		Build any `json:"build"`
	}
	if err := json.Unmarshal(request.Arguments, &arguments); err != nil && len(request.Arguments) > 0 {
		return fmt.Errorf("the arguments of attach are not an object: %w", err)
	}
	if _, err := s.current(); err == nil {
		return errors.New("this session has a build already")
	}
	if s.Build != nil {
		joined := *s.Build
		joined.Run, joined.Close = nil, nil // the session that has launched it calls them
		s.begin(&joined, false, false)
		return nil
	}
	name := ""
	switch build := arguments.Build.(type) {
	case nil:
	case string:
		name = build
	case float64:
		name = fmt.Sprint(build)
	default:
		return fmt.Errorf("build is %v; expected the name or number of a build, or latest", build)
	}
	remote, err := s.Attach(ctx, name)
	if err != nil {
		return err
	}
	s.relayed <- true
	s.relay(s.ctx, remote, raw)
	return errRelayed
}

// configured starts the build.
func (s *session) configured() error {
	r, err := s.current()
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.ready = true
	first := !r.begun
	r.begun = true
	s.mu.Unlock()
	if first {
		r.start()
	}
	return nil
}

// start runs the build and shows it.
func (r *run) start() {
	if r.build.Run != nil {
		go func() {
			r.exit = r.build.Run(r.ctx)
			r.release() // before the client knows of the end: it may kill this process then
			close(r.ended)
		}()
	}
	go r.follow()
}

// end ends the part of the session that shows the build.
func (r *run) end() {
	r.build.Hub.remove(r.member)
	r.guest.Leave()
}

// restart runs the build again from its start, with the buildspec and the arguments as they are now.
func (s *session) restart(ctx context.Context, request *dap.RestartRequest) error {
	r, err := s.current()
	if err != nil {
		return err
	}
	if !r.launched {
		return errors.New("a build to which the editor is attached cannot be started again here")
	}
	arguments := s.launched
	var given struct {
		Arguments map[string]json.RawMessage `json:"arguments"`
	}
	if json.Unmarshal(request.Arguments, &given) == nil && given.Arguments != nil {
		arguments = given.Arguments
	}
	s.mu.Lock()
	r.quiet = true
	s.mu.Unlock()
	r.stop()
	r.end()
	s.mu.Lock()
	s.run = nil
	s.mu.Unlock()
	s.announceStepBack(false)
	if err := s.prepare(ctx, arguments); err != nil {
		s.event("terminated", nil)
		return err
	}
	return s.configured()
}

// stop stops the build and waits until it has ended.
func (r *run) stop() {
	if r.begun {
		r.build.Stop()
	}
	r.wait()
}

// wait waits until a build that was launched has ended, and releases it.
func (r *run) wait() {
	if r.begun && r.build.Run != nil {
		<-r.ended
		<-r.shown
	}
	r.release()
}

// release releases the resources of the build.
func (r *run) release() {
	if r.build.Close != nil {
		r.build.Close()
	}
}

// disconnect ends the session. Unless the client wants something else, a build that it has launched is
// stopped, and one to which it was attached goes on.
func (s *session) disconnect(request *dap.DisconnectRequest, raw json.RawMessage) {
	s.mu.Lock()
	r := s.run
	s.mu.Unlock()
	if r == nil {
		return
	}
	stop := r.launched
	var given struct {
		Arguments struct {
			TerminateDebuggee *bool `json:"terminateDebuggee"`
		} `json:"arguments"`
	}
	if json.Unmarshal(raw, &given) == nil && given.Arguments.TerminateDebuggee != nil && !request.Arguments.Restart {
		stop = *given.Arguments.TerminateDebuggee
	}
	if !stop {
		return
	}
	if !r.launched {
		r.build.Stop()
		return
	}
	r.stop()
	s.mu.Lock()
	s.run = nil
	s.mu.Unlock()
	r.end()
}

// terminate stops the build, and the session ends as at its end.
func (s *session) terminate() error {
	r, err := s.current()
	if err != nil {
		return err
	}
	if !r.begun && r.launched {
		s.event("terminated", nil)
		return nil
	}
	r.build.Stop()
	return nil
}

// leave ends a session whose client has disconnected, or has gone. A build that it has launched goes on:
// a stop waits as without a terminal.
func (s *session) leave() {
	s.cancel(0)
	s.mu.Lock()
	r := s.run
	s.mu.Unlock()
	if r == nil {
		return
	}
	s.sending.Lock()
	s.broken = true
	s.sending.Unlock()
	r.end()
	switch {
	case r.launched:
		r.wait()
	case r.begun:
		<-r.shown
	}
}

// finish shows the end of a build whose process ends.
func (s *session) finish() {
	s.mu.Lock()
	r := s.run
	s.mu.Unlock()
	if r != nil && r.begun {
		<-r.shown
	}
}

// messages are lines for the user, which are shown as output.
type messages struct {
	*session
	rest string
}

// Write implements io.Writer.
func (m *messages) Write(p []byte) (int, error) {
	m.rest += string(p)
	for {
		line, rest, found := strings.Cut(m.rest, "\n")
		if !found {
			return len(p), nil
		}
		m.rest = rest
		m.event("output", dap.OutputEventBody{Category: "important", Output: line + "\n"})
	}
}

// colors reports whether the client shows the colors of terminals.
func (s *session) colors() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ansi
}

// supports reports whether the client has said that it supports something.
func (s *session) supports(ability func(dap.InitializeRequestArguments) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return ability(s.client)
}
