package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker/conn"
)

// preserved describes a container that was stopped instead of removed.
type preserved struct {
	ID           string
	Image        string      // name, for messages
	Snapshot     string      // see Spec.Snapshot
	Volumes      []string    // to be removed with the container
	WhiteoutDirs []string    // as well
	Uppers       [][2]string // see upperDir
}

// maxMeasureTime limits how long the engine may take to measure a container.
const maxMeasureTime = 5 * time.Second

// Preserve stops the container instead of removing it. See engine.Preserver. A copy of its files, as
// docker commit makes it, takes seconds and leaves out volumes, such as the changes to the source.
func (c *Container) Preserve(ctx context.Context, limit int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.socket != nil || c.spec.Resources.Privileged {
		return fmt.Errorf("%w: the build uses a Docker engine, whose containers end with it", engine.ErrUnsupported)
	}
	size, err := c.size(ctx, limit)
	if err == nil {
		err = engine.CheckSize(size, limit)
	}
	if err != nil {
		return err
	}
	p := preserved{ID: c.id, Snapshot: c.spec.Snapshot, Volumes: c.volumes, WhiteoutDirs: c.whiteoutDirs}
	for _, u := range c.uppers {
		p.Uppers = append(p.Uppers, [2]string{u.path, u.host})
	}
	if len(c.spec.Image.Names) > 0 {
		p.Image = c.spec.Image.Names[0]
	}
	if err := engine.WritePreserved(c.spec.Mounts.Temp, p); err != nil {
		return err
	}
	if err := c.stop(ctx); err != nil {
		return err
	}
	c.closed = true
	return nil
}

// size returns the size of the files that the container has written.
func (c *Container) size(ctx context.Context, limit int64) (int64, error) {
	var dirs []string
	for _, u := range c.uppers { // of which the engine does not know the size
		dirs = append(dirs, u.host)
	}
	sum := engine.DiskSize(limit, dirs...)
	if c.findRootOnce.Do(c.findRoot); c.rootUpper != "" && isReadable(c.rootUpper) {
		return sum + engine.DirSize(limit, c.rootUpper), nil
	}
	limited, cancel := context.WithTimeout(ctx, maxMeasureTime)
	defer cancel()
	got, _, err := c.conn.API.ContainerInspectWithRaw(limited, c.id, true)
	if err != nil {
		return 0, c.conn.Fault(err, "measure the container")
	}
	if got.SizeRw != nil {
		sum += *got.SizeRw
	}
	return sum, nil
}

// stop ends all processes of the container, and removes its helpers.
func (c *Container) stop(ctx context.Context) error {
	var errs []error
	for _, id := range c.network.Seal() {
		errs = append(errs, c.conn.RemoveContainer(ctx, id))
	}
	if err := c.conn.API.ContainerKill(ctx, c.id, "KILL"); err != nil && !conn.IsConflict(err) {
		errs = append(errs, c.conn.Fault(err, "stop the container"))
	}
	if _, err := c.mainExit(ctx); err != nil {
		errs = append(errs, err)
	}
	if c.stream.Conn != nil {
		c.stream.Close()
	}
	if c.usage.meter != nil {
		c.usage.meter.Close()
	}
	return errors.Join(errs...)
}

// resume starts a container again that Preserve has stopped. After an error it is stopped again.
func (e *Engine) resume(ctx context.Context, c *Container) (engine.Container, error) {
	err := c.adopt(ctx)
	if err == nil {
		c.network.Prepare(ctx)
		err = c.attachAndStart(ctx, c.preserved.Image)
	}
	if err == nil {
		err = c.network.Connect(ctx)
	}
	if err == nil {
		return c, nil
	}
	err = conn.CauseOr(ctx, err)
	if c.id != "" {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), conn.CleanupTimeout)
		defer cancel()
		err = errors.Join(err, c.stop(ctx))
	}
	return nil, err
}

// adopt takes over a container that Preserve has stopped.
func (c *Container) adopt(ctx context.Context) error {
	p := &c.preserved
	if err := engine.ReadPreserved(c.spec.Mounts.Temp, p); err != nil {
		return err
	}
	got, err := c.conn.API.ContainerInspect(ctx, p.ID)
	if err != nil {
		return c.conn.Fault(err, "find the container that was kept")
	}
	if c.spec.Main == nil { // its first process is the one of then
		return fmt.Errorf("resume a container: %w without a first process", engine.ErrUnsupported)
	}
	if state := got.State; state != nil && state.Running {
		return errors.New("the container that was kept was started by someone else")
	}
	c.spec.Snapshot = p.Snapshot
	c.id, c.volumes, c.whiteoutDirs = p.ID, p.Volumes, p.WhiteoutDirs
	for _, u := range p.Uppers {
		c.uppers = append(c.uppers, upperDir{u[0], u[1]})
	}
	c.network.Adopt(ctx, c.id)
	return nil
}

// isReadable reports whether this process may list a directory.
func isReadable(dir string) bool {
	d, err := os.Open(dir)
	if err != nil {
		return false
	}
	return d.Close() == nil
}

var _ engine.Preserver = (*Container)(nil)
