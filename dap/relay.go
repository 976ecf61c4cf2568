package dap

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"

	"github.com/google/go-dap"
)

// errRelayed ends a session that was passed on to another process.
var errRelayed = errors.New("relayed")

// relay connects the client with the session of the process in which a build runs, until both have
// ended. The other session gets the initialize request, which was answered here, and the attach request.
func (s *session) relay(ctx context.Context, remote Attached, attach json.RawMessage) {
	defer remote.Close()
	s.mu.Lock()
	hello := s.hello
	s.mu.Unlock()
	for _, m := range []json.RawMessage{hello, attach} {
		if err := dap.WriteBaseMessage(remote, m); err != nil {
			break // the read below fails too
		}
	}
	var ended atomic.Bool // the other session has ended
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		s.relayInput(remote, &ended)
	}()
	if disconnected := s.relayOutput(remote); disconnected {
		return
	}
	ended.Store(true)
	select {
	case <-gone:
	case <-ctx.Done():
	}
}

// relayInput passes the client's messages on until the client ends. After the other session has
// ended, they are answered here.
func (s *session) relayInput(remote Attached, ended *atomic.Bool) {
	for {
		raw, err := dap.ReadBaseMessage(s.in)
		if err != nil {
			_ = remote.Close() // the other session notices that the client has gone
			return
		}
		if !ended.Load() && dap.WriteBaseMessage(remote, raw) == nil {
			continue
		}
		var r dap.Request
		if json.Unmarshal(raw, &r) != nil || r.Type != "request" {
			continue
		}
		if r.Command == "disconnect" || r.Command == "terminate" {
			s.respond(r, nil, nil)
			if r.Command == "disconnect" {
				return
			}
			continue
		}
		s.respond(r, nil, errors.New("the build has ended"))
	}
}

// relayOutput passes the messages of the other session on until it ends, and reports whether the client
// has disconnected. The process of a build may end before its session has said so.
func (s *session) relayOutput(remote Attached) (disconnected bool) {
	from := bufio.NewReader(remote)
	terminated := false
	for {
		raw, err := dap.ReadBaseMessage(from)
		if err != nil {
			break
		}
		var m struct {
			Seq            int
			Type           string
			Command, Event string
		}
		if json.Unmarshal(raw, &m) != nil || m.Type == "response" && m.Command == "initialize" {
			continue
		}
		terminated = terminated || m.Event == "terminated"
		s.sending.Lock()
		if s.seq = max(s.seq, m.Seq); !s.broken {
			s.broken = dap.WriteBaseMessage(s.out, raw) != nil
		}
		s.sending.Unlock()
		if m.Type == "response" && m.Command == "disconnect" {
			return true
		}
	}
	if !terminated {
		s.event("exited", dap.ExitedEventBody{ExitCode: remote.Ended(s.ctx)})
		s.event("terminated", nil)
	}
	return false
}
