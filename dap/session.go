package dap

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/google/go-dap"

	"github.com/buildlocal/buildlocal/debugger"
	"github.com/buildlocal/buildlocal/runner"
)

// session is the connection to one client.
type session struct {
	Options
	ctx   context.Context // of the program: builds outlive requests
	in    *bufio.Reader
	out   io.Writer
	queue chan request  // requests that were read
	over  chan struct{} // closed when no more requests are handled
	// relayed receives after each attach request whether another process gets the input from now on.
	relayed chan bool

	sending sync.Mutex // guards the output and seq
	seq     int
	broken  bool // the client does not read any more
	calls   map[int]chan *callAnswer

	mu       sync.Mutex // guards the fields below
	client   dap.InitializeRequestArguments
	hello    json.RawMessage // the initialize request, for another process
	ansi     bool            // the client shows the colors of terminals
	launched map[string]json.RawMessage
	run      *run // nil before launch and attach
	ready    bool // the client has configured everything
	marks    map[string][]*mark
	lastMark int
	// stepsBack says that the client knows that it can step back.
	stepsBack bool
	running   map[int]context.CancelFunc // requests that can be canceled
}

// request is a message of the client.
type request struct {
	dap.Message
	raw json.RawMessage
	err error // the end of the input, or a message that is not a known request
}

// read reads messages until the connection ends. Requests that end others are acted on at once.
func (s *session) read() {
	for {
		raw, err := dap.ReadBaseMessage(s.in)
		if err != nil {
			s.add(request{err: err})
			_, _ = io.Copy(io.Discard, s.in) // a client amid a message that is too long must not wait
			return
		}
		m, err := dap.DecodeProtocolMessage(raw)
		switch m := m.(type) {
		case *dap.CancelRequest:
			s.cancel(m.Arguments.RequestId)
		case *dap.RunInTerminalResponse, *dap.ErrorResponse:
			s.receive(raw)
			continue
		case *dap.DisconnectRequest, *dap.TerminateRequest:
			s.cancel(0)
		}
		if !s.add(request{m, raw, err}) {
			return
		}
		if _, is := m.(*dap.AttachRequest); is && err == nil && s.isRelayed() {
			return // the input is for another process from here on
		}
	}
}

// isRelayed waits until an attach request was handled, and reports whether another process has the
// session now.
func (s *session) isRelayed() bool {
	select {
	case relayed := <-s.relayed:
		return relayed
	case <-s.over:
		return true
	}
}

// add queues a request. It returns false after the session.
func (s *session) add(r request) bool {
	select {
	case s.queue <- r:
		return true
	case <-s.over:
		return false
	}
}

// cancel ends a request, or with 0 all of them.
func (s *session) cancel(seq int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for running, end := range s.running {
		if seq == 0 || running == seq {
			end()
		}
	}
}

// handleAll handles requests in their order until the client disconnects.
func (s *session) handleAll() error {
	defer close(s.over)
	for {
		var r request
		select {
		case r = <-s.queue:
		case <-s.ctx.Done():
			s.finish()
			return nil
		}
		if r.Message == nil && r.err != nil {
			err := s.unreadable(r)
			if err == nil {
				continue
			}
			if err = endOfInput(err); err != nil { // else the client has gone
				s.event("output", dap.OutputEventBody{Category: "important", Output: "error: " + err.Error() + "\n"})
				s.event("terminated", nil)
			}
			return err
		}
		if err := s.handle(r); err != nil {
			return nil
		}
	}
}

// endOfInput returns the error of an input that did not end between two messages.
func endOfInput(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return fmt.Errorf("read from the client: %w\nexpected messages of the Debug Adapter Protocol: "+
		"Content-Length: N, an empty line, N bytes of JSON", err)
}

// unreadable answers a message that is not a known request. It returns the error after which no more
// messages can be read.
func (s *session) unreadable(r request) error {
	if r.raw == nil {
		return r.err
	}
	var known struct {
		Seq     int    `json:"seq"`
		Type    string `json:"type"`
		Command string `json:"command"`
	}
	_ = json.Unmarshal(r.raw, &known)
	if known.Type == "response" || known.Type == "event" {
		return nil // of a request that this session has not made
	}
	why := fmt.Errorf("the message cannot be read: %w", r.err)
	var field *dap.DecodeProtocolMessageFieldError
	if errors.As(r.err, &field) && field.FieldName == "command" {
		why = fmt.Errorf("the request %q is not supported", field.FieldValue)
	}
	s.respond(dap.Request{ProtocolMessage: dap.ProtocolMessage{Seq: known.Seq}, Command: known.Command}, nil, why)
	return nil
}

// handle handles one request. It returns an error after the last one.
func (s *session) handle(r request) error {
	message, is := r.Message.(dap.RequestMessage)
	if !is {
		return nil
	}
	request := message.GetRequest()
	if r.err != nil { // a request whose arguments have other types
		s.respond(*request, nil, fmt.Errorf("the arguments of %s cannot be read: %w", request.Command, r.err))
		return nil
	}
	ctx, cancel := context.WithCancel(s.ctx)
	s.mu.Lock()
	s.running[request.Seq] = cancel
	s.mu.Unlock()
	act := func() error {
		defer func() {
			s.mu.Lock()
			delete(s.running, request.Seq)
			s.mu.Unlock()
			cancel()
		}()
		body, after, err := s.dispatch(ctx, r)
		if errors.Is(err, errRelayed) {
			return err
		}
		s.respond(*request, body, err)
		if after != nil && err == nil {
			return after()
		}
		return nil
	}
	switch r.Message.(type) {
	case *dap.EvaluateRequest, *dap.CompletionsRequest: // which may take long, while the user goes on
		go func() { _ = act() }()
		return nil
	}
	return act()
}

// response is a response with any body.
type response struct {
	dap.Response
	Body any `json:"body,omitempty"`
}

// respond answers a request.
func (s *session) respond(r dap.Request, body any, err error) {
	answer := &response{Body: body}
	answer.Type, answer.Command, answer.RequestSeq, answer.Success = "response", r.Command, r.Seq, err == nil
	if err != nil {
		const anyError = 1
		answer.Message = s.mask(err.Error())
		answer.Body = dap.ErrorResponseBody{Error: &dap.ErrorMessage{
			Id: anyError, Format: "{message}", Variables: map[string]string{"message": answer.Message}, ShowUser: true,
		}}
	}
	s.send(answer, &answer.Seq)
}

// event sends an event.
func (s *session) event(name string, body any) {
	e := &struct {
		dap.Event
		Body any `json:"body,omitempty"`
	}{Body: body}
	e.Type, e.Event.Event = "event", name
	s.send(e, &e.Seq)
}

// send writes a message with the next number. A client that has gone is noticed by read.
func (s *session) send(m any, seq *int) {
	s.sending.Lock()
	defer s.sending.Unlock()
	s.write(m, seq)
}

// write is send with the lock.
func (s *session) write(m any, seq *int) {
	if s.broken {
		return
	}
	s.seq++
	*seq = s.seq
	text, err := json.Marshal(m)
	if err != nil {
		return // of types that can be marshaled
	}
	var frame bytes.Buffer
	_ = dap.WriteBaseMessage(&frame, text)
	if _, err := s.out.Write(frame.Bytes()); err != nil {
		s.broken = true
	}
}

// mask masks the secrets in a text.
func (s *session) mask(text string) string {
	s.mu.Lock()
	r := s.run
	s.mu.Unlock()
	if r == nil {
		return text
	}
	if live := r.build.Live(); live != nil {
		return live.Mask(text)
	}
	return text
}

// callAnswer is the client's answer to a request of this session.
type callAnswer struct {
	err error
}

// call makes a request to the client.
func (s *session) call(ctx context.Context, command string, arguments any) error {
	r := &struct {
		dap.Request
		Arguments any `json:"arguments,omitempty"`
	}{Arguments: arguments}
	r.Type, r.Command = "request", command
	answered := make(chan *callAnswer, 1)
	s.sending.Lock()
	if s.calls == nil {
		s.calls = map[int]chan *callAnswer{}
	}
	s.write(r, &r.Seq)
	s.calls[r.Seq] = answered
	s.sending.Unlock()
	select {
	case a := <-answered:
		return a.err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.over:
		return errDisconnected
	}
}

// receive passes the answer of the client on.
func (s *session) receive(raw json.RawMessage) {
	var r dap.Response
	if json.Unmarshal(raw, &r) != nil {
		return
	}
	a := &callAnswer{}
	if !r.Success {
		a.err = fmt.Errorf("the editor: %s", r.Message)
	}
	s.sending.Lock()
	defer s.sending.Unlock()
	if answered := s.calls[r.RequestSeq]; answered != nil {
		delete(s.calls, r.RequestSeq)
		answered <- a
	}
}

// current returns the build, and an error before there is one.
func (s *session) current() (*run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil {
		return nil, errors.New("no build was launched")
	}
	return s.run, nil
}

// stopped returns the stop of the build, and an error while it runs. A stop that the client does not know
// yet does not count: the request was for the stop before it, which another front end has answered.
func (s *session) stopped() (*run, *debugger.Waiting, error) {
	r, err := s.current()
	if err != nil {
		return nil, nil, err
	}
	w, _, ended := r.guest.State()
	s.mu.Lock()
	known := w.Is(r.announced)
	s.mu.Unlock()
	switch {
	case ended:
		return nil, nil, runner.ErrOver
	case w == nil || !known:
		return nil, nil, debugger.ErrRunning
	}
	return r, w, nil
}
