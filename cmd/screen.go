package cmd

import (
	"bytes"
	"context"
	"time"

	"github.com/buildlocal/buildlocal/runner"
)

// A build waits for who reads its output, as any program does: screenLength is
// how many events may be unread. Once it is to end it waits no longer than
// screenPatience.
const (
	screenLength   = 64
	screenPatience = 2 * time.Second
)

// screen shows a build beside it, so that a reader who has stopped reading
// cannot keep it from ending.
type screen struct {
	ctx    context.Context
	hurry  <-chan struct{}
	events chan runner.Event
	shown  chan struct{} // closed when all is shown
}

// show begins to show events; lost is told when they cannot be written.
func (a *App) show(ctx context.Context, v viewer, lost func(error)) *screen {
	s := &screen{ctx: ctx, hurry: a.Hurry, events: make(chan runner.Event, screenLength), shown: make(chan struct{})}
	go func() {
		defer close(s.shown)
		for e := range s.events {
			v.Notify(e)
			if err := v.Err(); err != nil {
				lost(err)
			}
		}
	}()
	return s
}

// notify passes an event on. What nobody reads is dropped once the build is to
// end.
func (s *screen) notify(e runner.Event) {
	e.Output = bytes.Clone(e.Output)
	select {
	case s.events <- e:
		return
	default:
	}
	select {
	case s.events <- e:
	case <-s.hurry:
	case <-s.over():
	}
}

// close waits until all is shown.
func (s *screen) close() {
	close(s.events)
	select {
	case <-s.shown:
	case <-s.hurry:
	case <-s.over():
	}
}

// over is closed a while after the build is to end.
func (s *screen) over() <-chan struct{} {
	over := make(chan struct{})
	context.AfterFunc(s.ctx, func() { time.AfterFunc(screenPatience, func() { close(over) }) })
	return over
}
