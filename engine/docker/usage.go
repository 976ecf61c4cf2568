package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	meter *cgroup.Meter // nil to ask the engine
	// unsupported is set if the container has no control groups of its own. The engine
	// would then report the consumption of the whole host.
	unsupported bool
}

// Usage returns the consumption of the container. See engine.Metered.
func (c *Container) Usage(ctx context.Context) (engine.Usage, error) {
	c.usage.once.Do(func() {
		if got, err := c.conn.API.ContainerInspect(ctx, c.id); err == nil && got.State != nil && got.State.Pid > 0 {
			c.usage.meter, err = cgroup.ForProcess(got.State.Pid, c.id)
			c.usage.unsupported = errors.Is(err, fs.ErrNotExist) && c.conn.CheckLocal() == nil
		}
	})
	if c.usage.unsupported {
		return engine.Usage{}, fmt.Errorf("measure the container: %w", engine.ErrUnsupported)
	}
	if c.usage.meter != nil {
		u, err := c.usage.meter.Read()
		return engine.Usage(u), err
	}
	return c.usageFromEngine(ctx)
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

var _ engine.Metered = (*Container)(nil)
