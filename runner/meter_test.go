package runner

import (
	"context"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine"
)

// counter is a container whose usage grows with each sample, and whose samples take time.
type counter struct {
	clock time.Time
	takes []time.Duration // of the samples; the last one repeats
	used  engine.Usage
}

func (c *counter) Usage(context.Context) (engine.Usage, error) {
	c.clock = c.clock.Add(c.takes[0])
	if len(c.takes) > 1 {
		c.takes = c.takes[1:]
	}
	c.used.Memory += 1 << 20
	c.used.CPU += time.Second
	return c.used, nil
}

func TestMeter_SlowSampleThenFast(t *testing.T) {
	t.Parallel()
	for _, takes := range [][]time.Duration{
		{time.Minute, 100 * time.Microsecond},
		{time.Second, 100 * time.Microsecond, time.Minute, 100 * time.Microsecond},
	} {
		c := &counter{takes: takes}
		m := &meter{container: c, now: func() time.Time { return c.clock }}
		for range takes {
			if err := m.sample(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		w := m.open(t.Context())
		used := m.close(t.Context(), w)
		if used == nil || used.CPU != 1 || used.PeakMemory != c.used.Memory {
			t.Errorf("%v: got %+v; want the last sample, %+v", takes, used, c.used)
		}
	}
}

func TestMeter_SkipsSlowSamples(t *testing.T) {
	t.Parallel()
	c := &counter{takes: []time.Duration{time.Second}}
	m := &meter{container: c, now: func() time.Time { return c.clock }}
	_, _ = m.sample(t.Context()), m.sample(t.Context())
	before := c.clock
	if used := m.close(t.Context(), m.open(t.Context())); used == nil || used.CPU != 0 || c.clock != before {
		t.Errorf("a sample was taken: %+v, %v", used, c.clock.Sub(before))
	}
}
