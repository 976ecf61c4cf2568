package docker

import (
	"context"
	"errors"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker/conn"
)

// removalTime is how long a removal of the container may take after its end. docker rm -f kills it
// first, as docker kill does.
const removalTime = time.Second

// Exit statuses of a first process that a signal has ended. Processes of the container cannot send it
// these signals.
const (
	exitKilled     = 128 + 9
	exitTerminated = 128 + 15
)

// WhyEnded explains why the container no longer runs. See engine.Mortal.
func (c *Container) WhyEnded(ctx context.Context) error {
	state, err := c.conn.API.ContainerInspect(ctx, c.id)
	switch {
	case conn.IsNotFound(err):
		return engine.Removed()
	case client.IsErrConnectionFailed(err), errors.Is(err, context.DeadlineExceeded):
		return engine.Unanswering(c.conn.Host(), err)
	case err != nil || state.State == nil || state.State.Running:
		return nil
	case c.ranOutOfMemory(ctx, state.State):
		return engine.OutOfMemory(c.spec.Resources.Limits.Memory)
	case c.isRemoved(ctx):
		return engine.Removed()
	case state.State.ExitCode == exitKilled, state.State.ExitCode == exitTerminated:
		return engine.Killed()
	}
	return nil
}

// ranOutOfMemory reports whether the first process was killed because memory ran out, and not by a
// client of the engine. The engine's flag alone says less: it is set as soon as any process of the
// container was killed for that, and stays set although the container goes on. It is not set if the
// engine learns of it only after the end of the container; then only the event reports it.
func (c *Container) ranOutOfMemory(ctx context.Context, state *container.State) bool {
	ended, err := time.Parse(time.RFC3339Nano, state.FinishedAt)
	if err != nil || state.ExitCode != exitKilled {
		return false
	}
	ctx, cancel := context.WithCancel(ctx) // ends the stream of events
	defer cancel()
	// The engine reports that it has sent a signal after the process is gone.
	until := ended.Add(removalTime).Format(time.RFC3339Nano)
	messages, done := c.conn.API.Events(ctx, events.ListOptions{Since: state.StartedAt, Until: until,
		Filters: filters.NewArgs(filters.Arg("container", c.id),
			filters.Arg("event", string(events.ActionKill)), filters.Arg("event", string(events.ActionOOM)))})
	exhausted := state.OOMKilled
	for {
		select {
		case m := <-messages:
			if m.Action == events.ActionKill && m.Actor.Attributes["signal"] == sigKill {
				return false
			}
			exhausted = exhausted || m.Action == events.ActionOOM
		case <-done: // there are no more, or the engine has forgotten them
			return exhausted
		}
	}
}

// sigKill is the number of SIGKILL, as events have it.
const sigKill = "9"

// isRemoved waits a little for the container to be removed, and reports whether it was.
func (c *Container) isRemoved(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, removalTime)
	defer cancel()
	removed, failed := c.conn.API.ContainerWait(ctx, c.id, container.WaitConditionRemoved)
	select {
	case <-removed:
		return true
	case err := <-failed:
		return conn.IsNotFound(err)
	}
}
