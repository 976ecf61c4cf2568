package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker/conn"
	"github.com/buildlocal/buildlocal/engine/docker/relay"
	"github.com/buildlocal/buildlocal/engine/docker/share"
)

// Container is a container of a Docker engine.
type Container struct {
	conn   *conn.Engine
	spec   engine.Spec
	id     string                 // empty until it is created
	stream types.HijackedResponse // of its first process

	network *relay.Network
	socket  *share.Socket // nil if the container has none

	volumesMu    sync.Mutex // held while Start adds to volumes
	volumes      []string   // removed after the container
	whiteoutDirs []string   // layers on this host that hide names of trees; removed after the volumes

	baseImage string   // ID of the image that the build has
	restored  snapshot // with which the container was started

	uppers       []upperDir // of the trees
	findRootOnce sync.Once
	rootUpper    string   // the upper directory of the root file system; empty if unknown
	rootLower    []string // the lower ones, the highest first

	usage usage
	execs atomic.Int64 // number of Exec calls, for unique file names
	nonce string       // part of these names, if other processes use the container too

	mu        sync.Mutex // held while the container is being removed
	preserved preserved  // the data of a container that was resumed
	closed    bool       // everything was removed; a Close that fails leaves it false
}

// ID returns the engine's ID of the container.
func (c *Container) ID() string { return c.id }

// Open returns a container that an earlier Start of this or another process has made, by its ID.
// Its Close does nothing: the container stays. The nonce is different for each handle of a
// container.
func (e *Engine) Open(id, nonce string) *Container {
	return &Container{conn: e.conn, id: id, nonce: nonce + "-", closed: true}
}

// The engine cannot kill the process of an exec, so each one notes its process group in a
// file. killGroupScript creates a second file first, which keeps a process from starting
// that has not reached the check yet. The runtime starts an exec in a session of its own, so
// the ID of the shell, which exec keeps, is also that of the process group.
const (
	recordPIDScript = `echo $$ >"$0" && [ ! -e "$0.end" ] && exec "$@"`
	killGroupScript = `: >"$0.end"; read -r pid <"$0" && kill -9 -- "-$pid"`
)

// Exec runs another process. See engine.Container.
func (c *Container) Exec(ctx context.Context, p engine.Process) (int, error) {
	if len(p.Args) == 0 {
		return 0, errors.New("run a process: no program is named")
	}
	if err := ctx.Err(); err != nil {
		return 0, context.Cause(ctx)
	}
	file := fmt.Sprintf("/dev/shm/buildlocal-%s%d", c.nonce, c.execs.Add(1)) // writable in every container, and in memory
	wrapped := p
	wrapped.Args = append([]string{"sh", "-c", recordPIDScript, file}, p.Args...)
	id, stream, err := c.startExec(ctx, wrapped)
	if err != nil {
		return 0, conn.CauseOr(ctx, err)
	}
	if p.TTY != nil {
		go c.resize(ctx, id, *p.TTY)
	}
	done := make(chan error, 1) // with room for the result if killExec does not wait for it
	go func() { done <- copyStreams(stream, p) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		return 0, errors.Join(context.Cause(ctx), c.killExec(context.WithoutCancel(ctx), file, done))
	}
	if err != nil {
		return 0, c.conn.Fault(err, "run "+p.Args[0])
	}
	return c.execExit(ctx, id)
}

// startExec starts a process. The request that attaches its streams also starts it, so no
// output is lost.
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
	made, err := c.conn.API.ContainerExecCreate(ctx, c.id, options)
	if err != nil {
		return "", types.HijackedResponse{}, c.conn.Fault(err, "run a process")
	}
	stream, err := c.conn.API.ContainerExecAttach(ctx, made.ID, attach)
	return made.ID, stream, c.conn.Fault(err, "run a process")
}

// killExec kills the process group of an exec and waits until its output ends.
func (c *Container) killExec(ctx context.Context, file string, done <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, conn.CleanupTimeout)
	defer cancel()
	_, stream, err := c.startExec(ctx, engine.Process{Args: []string{"sh", "-c", killGroupScript, file}})
	if err != nil {
		return err
	}
	_ = copyStreams(stream, engine.Process{})
	select {
	case <-done:
	case <-ctx.Done():
	case <-time.After(time.Second): // a child that has left the process group keeps the output open
	}
	return nil
}

// execExit returns the exit status of an exec. The engine may know it only a moment after
// the output has ended.
func (c *Container) execExit(ctx context.Context, id string) (int, error) {
	const maxWait = 100 * time.Millisecond
	for wait := time.Millisecond; ; wait = min(2*wait, maxWait) {
		state, err := c.conn.API.ContainerExecInspect(ctx, id)
		if err != nil {
			return 0, c.conn.Fault(err, "get an exit status")
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

// resize sets the size of a terminal, and again whenever it changes. Engines before API 1.42
// ignore the size in the request, and none can be set until the process runs.
func (c *Container) resize(ctx context.Context, id string, tty engine.TTY) {
	set := func(size engine.TTY) error {
		return c.conn.API.ContainerExecResize(
			ctx,
			id,
			container.ResizeOptions{Width: uint(size.Columns), Height: uint(size.Rows)},
		)
	}
	for range 10 { // for 100 ms; then the terminal has its default size until it is changed
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

// CopyIn unpacks a tar stream below dir. See engine.Container.
func (c *Container) CopyIn(ctx context.Context, dir string, stream io.Reader) error {
	return c.conn.CopyIn(ctx, c.id, dir, stream)
}

// CopyOut returns a file or directory as a tar stream. See engine.Container.
func (c *Container) CopyOut(ctx context.Context, file string) (io.ReadCloser, error) {
	return c.conn.CopyOut(ctx, c.id, file)
}

// Close removes the container with its volumes. If it fails, it can be called again. See
// engine.Container.
func (c *Container) Close(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	// The end of the stream ends the idle shell, so it stays open if the removal fails.
	if err := conn.CauseOr(ctx, c.remove(ctx)); err != nil {
		return err
	}
	if c.stream.Conn != nil {
		c.stream.Close()
	}
	if c.usage.meter != nil {
		c.usage.meter.Close()
	}
	c.closed = true
	return nil
}

// remove removes everything in the order in which the engine allows it: all containers,
// then the volumes and other resources that they used. Last are the layers that hide names,
// which are part of the volumes' mounts.
func (c *Container) remove(ctx context.Context) error {
	shared := c.socket.RemoveContainers(ctx)
	var group sync.WaitGroup
	// The socket's containers come first, because they may use the network of this one. Seal
	// returns the helpers, and keeps others from being started.
	ids := append([]string{c.id}, c.network.Seal()...)
	failed := make([]error, len(ids))
	for i, id := range ids {
		if id != "" {
			group.Go(func() { failed[i] = c.conn.RemoveContainer(ctx, id) })
		}
	}
	group.Wait()
	if err := errors.Join(append(failed, shared)...); err != nil {
		return err
	}
	errs := make([]error, len(c.volumes), len(c.volumes)+len(c.whiteoutDirs)+1)
	for i, name := range c.volumes {
		group.Go(func() {
			if err := c.conn.API.VolumeRemove(ctx, name, true); err != nil && !conn.IsNotFound(err) {
				errs[i] = c.conn.Fault(err, "remove volume "+name)
			}
		})
	}
	group.Wait()
	errs = append(errs, c.socket.RemoveResources(ctx))
	for _, dir := range c.whiteoutDirs {
		errs = append(errs, discard(dir))
	}
	return errors.Join(errs...)
}

var _ engine.Container = (*Container)(nil)
