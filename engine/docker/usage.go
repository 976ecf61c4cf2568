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

// usage is how a container is measured: where the engine runs on this machine the
// kernel is asked, else the engine.
type usage struct {
	once  sync.Once
	meter *cgroup.Meter // nil where the engine is asked
	none  bool          // the container has no group of its own: the engine would tell the machine's
}

// Usage returns what the container has used. See engine.Meter.
func (c *Container) Usage(ctx context.Context) (engine.Usage, error) {
	c.measured.once.Do(func() {
		if got, err := c.engine.api.ContainerInspect(ctx, c.id); err == nil && got.State != nil && got.State.Pid > 0 {
			c.measured.meter, err = cgroup.Of(got.State.Pid, c.id)
			c.measured.none = errors.Is(err, fs.ErrNotExist) && c.engine.isHere() == nil
		}
	})
	if c.measured.none {
		return engine.Usage{}, fmt.Errorf("what the container uses: %w", engine.ErrUnsupported)
	}
	if c.measured.meter != nil {
		u, err := c.measured.meter.Read()
		return engine.Usage(u), err
	}
	answer, err := c.engine.api.ContainerStatsOneShot(ctx, c.id)
	if err != nil {
		return engine.Usage{}, c.engine.fault(err, "ask for what the container uses")
	}
	defer answer.Body.Close()
	var stats container.StatsResponse
	if err := json.NewDecoder(answer.Body).Decode(&stats); err != nil {
		return engine.Usage{}, fmt.Errorf("read what the container uses: %w", err)
	}
	if stats.CPUStats.CPUUsage.TotalUsage == 0 { // of a container that is not running all is zero
		return engine.Usage{}, fmt.Errorf("read what the container uses: %w", io.EOF)
	}
	files := stats.MemoryStats.Stats["total_inactive_file"] // version 1
	if files == 0 {
		files = stats.MemoryStats.Stats["inactive_file"]
	}
	return engine.Usage{
		CPU: time.Duration(stats.CPUStats.CPUUsage.TotalUsage), Memory: int64(stats.MemoryStats.Usage - min(files, stats.MemoryStats.Usage)), Killed: -1,
	}, nil
}

var _ engine.Metered = (*Container)(nil)
