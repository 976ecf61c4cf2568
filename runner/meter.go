package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/buildlocal/buildlocal/engine"
)

// Used is what a command or a phase has used of the machine.
type Used struct {
	PeakMemory int64   `json:"peakMemoryInBytes"`            // the most that was seen in use at once; 0 where it is not counted
	CPU        float64 `json:"cpuTimeInSeconds"`             // of all processors together
	Killed     int     `json:"outOfMemoryKills"`             // processes killed for want of memory
	Limit      int64   `json:"memoryLimitInBytes,omitempty"` // 0 for none
}

// meterEvery is how often is looked at what the container uses; where looking takes
// long, it is done so much more seldom that it stays below a fiftieth of the time.
const (
	meterEvery = 50 * time.Millisecond
	meterShare = 50
)

// meter looks at what a container uses as long as it runs.
type meter struct {
	container engine.Metered
	now       func() time.Time

	mu      sync.Mutex
	last    engine.Usage
	looked  bool
	took    time.Duration // of the fastest look: on a busy machine one may wait for its turn
	windows []*window
	stop    context.CancelFunc
	done    chan struct{}
}

// window is a time in which usage is summed up.
type window struct {
	first *engine.Usage // nil until there was a look
	peak  int64
}

// measure begins to look at the build's container, where the engine can.
func (b *build) measure(ctx context.Context) {
	container, can := b.container.(engine.Metered)
	if !can {
		return
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.meter = &meter{container: container, now: b.Now, stop: stop, done: make(chan struct{})}
	go b.meter.run(ctx)
}

func (m *meter) run(ctx context.Context) {
	defer close(m.done)
	_ = m.look(ctx)
	for {
		if err := m.look(ctx); errors.Is(err, engine.ErrUnsupported) {
			return
		}
		m.mu.Lock()
		pause := max(meterEvery, meterShare*m.took)
		m.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// look reads what is used now. What cannot be read leaves what was known.
func (m *meter) look(ctx context.Context) error {
	began := m.now()
	u, err := m.container.Usage(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	took := m.now().Sub(began)
	if m.looked && (m.took == 0 || took < m.took) { // the first one looks for where to look
		m.took = took
	}
	m.looked = true
	if err != nil {
		return err
	}
	m.last = u
	for _, w := range m.windows {
		if w.first == nil {
			w.first = &u
		}
		w.peak = max(w.peak, u.Memory)
	}
	return nil
}

// quick is how long a look may take that is had at the edges of a window too.
const quick = time.Millisecond

// glance looks where that takes no time.
func (m *meter) glance(ctx context.Context) {
	m.mu.Lock()
	cheap := m.took > 0 && m.took < quick
	m.mu.Unlock()
	if cheap {
		_ = m.look(ctx)
	}
}

// open begins a window; nil where nothing is measured.
func (m *meter) open(ctx context.Context) *window {
	if m == nil {
		return nil
	}
	m.glance(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	w := &window{peak: m.last.Memory}
	if last := m.last; last != (engine.Usage{}) {
		w.first = &last
	}
	m.windows = append(m.windows, w)
	return w
}

// close ends a window and returns what was used in it; nil where nothing was measured.
func (m *meter) close(ctx context.Context, w *window) *Used {
	if m == nil || w == nil {
		return nil
	}
	m.glance(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.windows = slices.DeleteFunc(m.windows, func(other *window) bool { return other == w })
	if w.first == nil {
		return nil
	}
	return &Used{PeakMemory: w.peak, CPU: max(0, m.last.CPU-w.first.CPU).Seconds(), Killed: max(0, m.last.Killed-w.first.Killed)}
}

// end ends the looking, before the container is removed.
func (m *meter) end() {
	if m != nil {
		m.stop()
		<-m.done
	}
}

// shownCommand is how much of a command's text is shown, in characters.
const shownCommand = 60

// starved explains a command that was killed for want of memory; "" for another.
func (b *build) starved(text string, exit int, u *Used) string {
	if u == nil || u.Killed == 0 || exit == 0 {
		return ""
	}
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if runes := []rune(first); len(runes) > shownCommand {
		first = string(runes[:shownCommand-1]) + "…"
	}
	u.Limit = b.plan.Limits.Memory
	if u.Limit == 0 || u.PeakMemory < u.Limit/2 { // a container in the build may have a limit of its own
		return fmt.Sprintf("Out of memory: %s killed by the kernel; peak %s in %s. A nested container hit its own limit, or the host is out of memory.", processes(u.Killed), Memory(u.PeakMemory), first)
	}
	return fmt.Sprintf("Out of memory: more than the %s of %s were needed, and %s killed; peak %s in %s. Use a larger --compute-type, or reduce the usage.",
		Memory(u.Limit), b.plan.ComputeType, processes(u.Killed), Memory(u.PeakMemory), first)
}

func processes(n int) string {
	if n == 1 {
		return "a process was"
	}
	return fmt.Sprintf("%d processes were", n)
}

// Memory writes a size of memory, in bytes, as compute types are written: 4 GiB.
func Memory(bytes int64) string {
	const gib, mib = 1 << 30, 1 << 20
	if bytes < gib*19/20 {
		return fmt.Sprintf("%d MiB", max(1, bytes/mib))
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(bytes)/gib), ".0") + " GiB"
}

// Shortly writes a duration for a person: 27ms, 1.46s, 16.1s, 2m3s.
func Shortly(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
