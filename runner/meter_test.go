package runner

import (
	"context"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine"
)

// counter is a container that uses more with each look, and whose looks take some time.
type counter struct {
	clock time.Time
	takes []time.Duration // the last one counts for all that follow
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

func TestASlowLookDoesNotKeepFromTheNext(t *testing.T) {
	t.Parallel()
	for _, takes := range [][]time.Duration{
		{time.Minute, 100 * time.Microsecond},
		{time.Second, 100 * time.Microsecond, time.Minute, 100 * time.Microsecond},
	} {
		c := &counter{takes: takes}
		m := &meter{container: c, now: func() time.Time { return c.clock }}
		for range takes {
			if err := m.look(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		w := m.open(t.Context())
		used := m.close(t.Context(), w)
		if used == nil || used.CPU != 1 || used.PeakMemory != c.used.Memory {
			t.Errorf("%v: got %+v; want what the last look saw, %+v", takes, used, c.used)
		}
	}
}

func TestWhatTakesLongIsNotLookedAtForEachCommand(t *testing.T) {
	t.Parallel()
	c := &counter{takes: []time.Duration{time.Second}}
	m := &meter{container: c, now: func() time.Time { return c.clock }}
	_, _ = m.look(t.Context()), m.look(t.Context())
	before := c.clock
	if used := m.close(t.Context(), m.open(t.Context())); used == nil || used.CPU != 0 || c.clock != before {
		t.Errorf("it was looked: %+v, %v", used, c.clock.Sub(before))
	}
}
