package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/cgroup"
)

// usage is how the consumption of a container is measured. If the engine runs on this host,
// its control groups are read directly, which costs less than a request.
type usage struct {
	once  sync.Once
	pid   int           // of the first process, on the engine's host; 0 if it is unknown
	meter *cgroup.Meter // nil to ask the engine
	// unsupported is set if the container has no control groups of its own. The engine
	// would then report the consumption of the whole host.
	unsupported bool
}

// Usage returns the consumption of the container. See engine.Metered.
func (c *Container) Usage(ctx context.Context) (engine.Usage, error) {
	c.findProcess(ctx)
	if c.usage.unsupported {
		return engine.Usage{}, fmt.Errorf("measure the container: %w", engine.ErrUnsupported)
	}
	if c.usage.meter != nil {
		u, err := c.usage.meter.Read()
		return engine.Usage(u), err
	}
	return c.usageFromEngine(ctx)
}

// findProcess finds the first process of the container, and how its usage is measured.
func (c *Container) findProcess(ctx context.Context) {
	c.usage.once.Do(func() {
		if got, err := c.conn.API.ContainerInspect(ctx, c.id); err == nil && got.State != nil && got.State.Pid > 0 {
			c.usage.pid = got.State.Pid
			c.usage.meter, err = cgroup.ForProcess(got.State.Pid, c.id)
			c.usage.unsupported = errors.Is(err, fs.ErrNotExist) && c.conn.CheckLocal() == nil
		}
	})
}

// View opens the container's root directory through its first process, if the engine runs on
// this host and this user may see that process's files. See engine.Viewer.
func (c *Container) View() (*os.Root, error) {
	c.findProcess(context.Background())
	if err := c.conn.CheckLocal(); err != nil {
		return nil, fmt.Errorf("show the container's files: %w (%w)", engine.ErrUnsupported, err)
	}
	if c.usage.pid == 0 {
		return nil, fmt.Errorf("show the container's files: %w (its process is not known)", engine.ErrUnsupported)
	}
	root, err := os.OpenRoot(fmt.Sprintf("/proc/%d/root", c.usage.pid))
	if err != nil {
		return nil, fmt.Errorf("show the container's files: %w (%w)", engine.ErrUnsupported, err)
	}
	// The kernel may have given the ID of a process that has ended to another one.
	if _, err := cgroup.ForProcess(c.usage.pid, c.id); err != nil {
		return nil, errors.Join(fmt.Errorf("show the container's files: %w (%w)", engine.ErrUnsupported, err), root.Close())
	}
	return root, nil
}

func (c *Container) usageFromEngine(ctx context.Context) (engine.Usage, error) {
	answer, err := c.conn.API.ContainerStatsOneShot(ctx, c.id)
	if err != nil {
		return engine.Usage{}, c.conn.Fault(err, "get the container's usage")
	}
	defer answer.Body.Close()
	var stats container.StatsResponse
	if err := json.NewDecoder(answer.Body).Decode(&stats); err != nil {
		return engine.Usage{}, fmt.Errorf("read the container's usage: %w", err)
	}
	if stats.CPUStats.CPUUsage.TotalUsage == 0 { // everything is zero if the container does not run
		return engine.Usage{}, fmt.Errorf("read the container's usage: %w", io.EOF)
	}
	// Reclaimable file cache is not counted, as docker stats does.
	files := stats.MemoryStats.Stats["total_inactive_file"] // version 1 of control groups
	if files == 0 {
		files = stats.MemoryStats.Stats["inactive_file"]
	}
	memory := stats.MemoryStats.Usage - min(files, stats.MemoryStats.Usage)
	return engine.Usage{CPU: time.Duration(stats.CPUStats.CPUUsage.TotalUsage), Memory: int64(memory), Killed: -1}, nil
}

var (
	_ engine.Metered = (*Container)(nil)
	_ engine.Viewer  = (*Container)(nil)
)
