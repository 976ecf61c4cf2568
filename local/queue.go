package local

import (
	"bytes"
	"context"
	"time"

	"github.com/buildlocal/buildlocal/runner"
)

// A build waits for the reader of its output, as any program does. maxUnread is the
// number of events that may wait; once the build is to end, it waits at most
// maxSinkDelay.
const (
	maxUnread    = 64
	maxSinkDelay = 2 * time.Second
)

// sinkQueue passes events to a sink in a goroutine of its own, so that a reader who has
// stopped reading cannot keep the build from ending.
type sinkQueue struct {
	ctx    context.Context // of the build
	hurry  <-chan struct{}
	events chan queued
	shown  chan struct{} // closed when all events are shown
}

// queued is an event, or a mark that is closed when all events before it are shown.
type queued struct {
	runner.Event
	mark chan struct{}
}

// newSinkQueue starts passing events on. The function lost is called if the sink fails.
func newSinkQueue(ctx context.Context, sink Sink, hurry <-chan struct{}, lost func(error)) *sinkQueue {
	q := &sinkQueue{ctx: ctx, hurry: hurry, events: make(chan queued, maxUnread), shown: make(chan struct{})}
	go func() {
		defer close(q.shown)
		for e := range q.events {
			if e.mark != nil {
				close(e.mark)
				continue
			}
			sink.Notify(e.Event)
			if err := sink.Err(); err != nil {
				lost(err)
			}
		}
	}()
	return q
}

// notify adds an event. It waits for the reader, and drops the event if the build is to
// end and the reader does not continue.
func (q *sinkQueue) notify(e runner.Event) {
	e.Output = bytes.Clone(e.Output) // the runner reuses the buffer
	q.add(queued{Event: e})
}

// drain waits until the sink has shown everything so far, within the same limits.
func (q *sinkQueue) drain() {
	mark := make(chan struct{})
	q.add(queued{mark: mark})
	select {
	case <-mark:
	case <-q.shown:
	case <-q.hurry:
	case <-q.expired():
	}
}

// add adds an event or a mark.
func (q *sinkQueue) add(e queued) {
	// First without the limits: select chooses at random between cases that are ready, so an
	// event could be dropped although there is room. Also, expired costs more than most events.
	select {
	case q.events <- e:
		return
	default:
	}
	select {
	case q.events <- e:
	case <-q.hurry:
	case <-q.expired():
	}
}

// close waits until all events are shown, within the same limits.
func (q *sinkQueue) close() {
	close(q.events)
	select {
	case <-q.shown:
	case <-q.hurry:
	case <-q.expired():
	}
}

// expired returns a channel that is closed some time after the build is to end.
func (q *sinkQueue) expired() <-chan struct{} {
	expired := make(chan struct{})
	context.AfterFunc(q.ctx, func() { time.AfterFunc(maxSinkDelay, func() { close(expired) }) })
	return expired
}
