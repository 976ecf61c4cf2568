package docker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"

	"github.com/buildlocal/buildlocal/engine"
)

// Container is a container of a Docker engine.
type Container struct {
	engine       *Engine
	spec         engine.Spec
	id           string
	stream       types.HijackedResponse
	usage        usage
	volumes      []string // layers of the trees, removed after the container
	socket       *socket  // the engine as the container has it; nil for none
	relays       []string // containers that listen for us in its network; mu is held
	uppers       []upperDir
	findRootOnce sync.Once
	rootUpper    string   // as of uppers, of the root directory; empty where it cannot be seen
	whiteoutDirs []string // layers of whiteouts on the host, removed after the volumes
	execs        atomic.Int64

	mu     sync.Mutex
	closed bool
}

// ID returns the engine's name for the container, for a person.
func (c *Container) ID() string { return c.id }

// recordPid runs a command so that its process group can be found again, unless
// killGroup was there first.
const recordPIDScript = `echo $$ >"$0" && [ ! -e "$0.end" ] && exec "$@"`

// killGroup ends the process group that recordPid wrote down, or will.
const killGroupScript = `: >"$0.end"; read -r pid <"$0" && kill -9 -- "-$pid"`

// Exec runs one more process. See engine.Container.
func (c *Container) Exec(ctx context.Context, p engine.Process) (int, error) {
	if len(p.Args) == 0 {
		return 0, errors.New("run a process: no program is named")
	}
	if err := ctx.Err(); err != nil {
		return 0, context.Cause(ctx)
	}
	file := fmt.Sprintf("/dev/shm/buildlocal-%d", c.execs.Add(1))
	wrapped := p
	wrapped.Args = append([]string{"sh", "-c", recordPIDScript, file}, p.Args...)
	id, stream, err := c.startExec(ctx, wrapped)
	if err != nil {
		return 0, causeOr(ctx, err)
	}
	if p.TTY != nil {
		go c.resize(ctx, id, *p.TTY)
	}
	done := make(chan error, 1)
	go func() { done <- copyStreams(stream, p) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		return 0, errors.Join(context.Cause(ctx), c.killExec(context.WithoutCancel(ctx), file, done))
	}
	if err != nil {
		return 0, c.engine.fault(err, "run "+p.Args[0])
	}
	return c.execExit(ctx, id)
}

func (c *Container) startExec(ctx context.Context, p engine.Process) (string, types.HijackedResponse, error) {
	options := container.ExecOptions{
		User: p.User, Env: p.Env, WorkingDir: p.Dir, Cmd: p.Args,
		AttachStdin: p.Stdin != nil, AttachStdout: true, AttachStderr: p.TTY == nil, Tty: p.TTY != nil,
	}
	attach := container.ExecAttachOptions{Tty: p.TTY != nil}
	if p.TTY != nil {
		size := [2]uint{uint(p.TTY.Rows), uint(p.TTY.Columns)}
		options.ConsoleSize, attach.ConsoleSize = &size, &size
	}
	made, err := c.engine.api.ContainerExecCreate(ctx, c.id, options)
	if err != nil {
		return "", types.HijackedResponse{}, c.engine.fault(err, "run a process")
	}
	stream, err := c.engine.api.ContainerExecAttach(ctx, made.ID, attach)
	return made.ID, stream, c.engine.fault(err, "run a process")
}

// killExec ends an exec that is not to go on, and waits until its output ended.
func (c *Container) killExec(ctx context.Context, file string, done <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, cleanupTimeout)
	defer cancel()
	_, stream, err := c.startExec(ctx, engine.Process{Args: []string{"sh", "-c", killGroupScript, file}})
	if err != nil {
		return err
	}
	_ = copyStreams(stream, engine.Process{})
	select {
	case <-done:
	case <-ctx.Done():
	case <-time.After(time.Second): // a child that left the group holds the output
	}
	return nil
}

// execExit returns an exec's status. The engine may need a moment to know it
// after the output ended.
func (c *Container) execExit(ctx context.Context, id string) (int, error) {
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		state, err := c.engine.api.ContainerExecInspect(ctx, id)
		if err != nil {
			return 0, c.engine.fault(err, "ask for an exit status")
		}
		if !state.Running {
			return state.ExitCode, nil
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// resize sets the terminal's size, and again when it changes. Engines before
// API 1.42 know no size at the start, and none until the process runs.
func (c *Container) resize(ctx context.Context, id string, tty engine.TTY) {
	set := func(size engine.TTY) error {
		return c.engine.api.ContainerExecResize(ctx, id, container.ResizeOptions{Width: uint(size.Columns), Height: uint(size.Rows)})
	}
	for range 10 {
		if set(tty) == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for {
		select {
		case size, open := <-tty.Resize:
			if !open {
				return
			}
			_ = set(size)
		case <-ctx.Done():
			return
		}
	}
}

// Close removes the container with its volumes. See engine.Container.
func (c *Container) Close(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	if err := causeOr(ctx, c.remove(ctx)); err != nil {
		return err
	}
	if c.stream.Conn != nil {
		c.stream.Close()
	}
	c.closed = true
	return nil
}

// remove removes the container, then its volumes, all at once, then what hid
// names in them.
func (c *Container) remove(ctx context.Context) error {
	inside := c.removeSocketContainers(ctx)
	var group sync.WaitGroup
	ours := append([]string{c.id}, c.relays...)
	failed := make([]error, len(ours))
	for i, id := range ours {
		if id != "" {
			group.Go(func() { failed[i] = c.engine.removeContainer(ctx, id) })
		}
	}
	group.Wait()
	if err := errors.Join(append(failed, inside)...); err != nil {
		return err
	}
	errs := make([]error, len(c.volumes), len(c.volumes)+len(c.whiteoutDirs)+1)
	for i, name := range c.volumes {
		group.Go(func() {
			if err := c.engine.api.VolumeRemove(ctx, name, true); err != nil && !isNotFound(err) {
				errs[i] = c.engine.fault(err, "remove volume "+name)
			}
		})
	}
	group.Wait()
	errs = append(errs, c.removeSocketResources(ctx))
	for _, dir := range c.whiteoutDirs {
		errs = append(errs, discard(dir))
	}
	return errors.Join(errs...)
}

// removeContainer removes a container and its volumes, and waits until it is
// gone also where somebody else is removing it.
func (e *Engine) removeContainer(ctx context.Context, id string) error {
	options := container.RemoveOptions{Force: true, RemoveVolumes: true}
	err := e.api.ContainerRemove(ctx, id, options)
	if err != nil && e.removeDependents(ctx, id, err) {
		err = e.api.ContainerRemove(ctx, id, options)
	}
	if err == nil || isNotFound(err) {
		return nil
	}
	if !cerrdefs.IsConflict(err) || !strings.Contains(err.Error(), "already in progress") {
		return e.fault(err, "remove container "+id)
	}
	gone, failed := e.api.ContainerWait(ctx, id, container.WaitConditionRemoved)
	select {
	case <-gone:
		return nil
	case err := <-failed:
		if isNotFound(err) {
			return nil
		}
		return e.fault(err, "remove container "+id)
	}
}

// ids finds containers in a message.
var ids = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\b[0-9a-f]{64}\b`)
})

// removeDependents removes the relays of a container that a message names as in the way:
// podman removes none whose network another is in. It reports whether it is worth another
// try.
func (e *Engine) removeDependents(ctx context.Context, id string, err error) bool {
	_, named, found := strings.Cut(err.Error(), "has dependent containers")
	if !found {
		return false
	}
	of, err := e.api.ContainerInspect(ctx, id)
	if err != nil {
		return false
	}
	for _, id := range ids().FindAllString(named, -1) {
		got, err := e.api.ContainerInspect(ctx, id)
		if err == nil && got.Config != nil && got.Config.Labels[relayLabel] != "" && strings.HasPrefix(got.Name, of.Name+"-") {
			_ = e.removeContainer(ctx, id) // the next try says what is left
		}
	}
	return true
}
