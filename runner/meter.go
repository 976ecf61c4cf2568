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
	"github.com/buildlocal/buildlocal/internal/human"
)

// Used is the resource usage of a command or a phase.
type Used struct {
	PeakMemory int64   `json:"peakMemoryInBytes"`            // highest sample; 0 if memory is not measured
	CPU        float64 `json:"cpuTimeInSeconds"`             // sum of all processors
	Killed     int     `json:"outOfMemoryKills"`             // processes that the OOM killer ended
	Limit      int64   `json:"memoryLimitInBytes,omitempty"` // 0 if unlimited
}

// The interval between samples is at least minInterval, and minShare times the duration of
// a sample, so that measuring takes at most a fiftieth of the time.
const (
	minInterval = 50 * time.Millisecond
	minShare    = 50
)

// meter samples the resource usage of a container while it runs. A nil meter measures
// nothing; its methods may be called concurrently.
type meter struct {
	container engine.Metered
	now       func() time.Time

	mu      sync.Mutex // guards the fields below
	last    engine.Usage
	sampled time.Time // when the last sample ended
	// took is the duration of the fastest sample after the first. On a busy host, a
	// sample may wait for a processor.
	took    time.Duration
	windows []*window // open
	series  series

	stop context.CancelFunc
	done chan struct{} // closed when run has returned
}

// window is a period whose usage is measured.
type window struct {
	first *engine.Usage // the first sample; nil before it
	peak  int64         // memory in bytes
}

// startMeter starts to measure a container; nil if the engine cannot.
func startMeter(ctx context.Context, c engine.Container, now func() time.Time) *meter {
	container, ok := c.(engine.Metered)
	if !ok {
		return nil
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	m := &meter{container: container, now: now, stop: stop, done: make(chan struct{})}
	go m.run(ctx)
	return m
}

func (m *meter) run(ctx context.Context) {
	defer close(m.done)
	_ = m.sample(ctx)
	for {
		if err := m.sample(ctx); errors.Is(err, engine.ErrUnsupported) {
			return
		}
		m.mu.Lock()
		pause := max(minInterval, minShare*m.took)
		m.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// sample reads the current usage. After an error the last usage stays.
func (m *meter) sample(ctx context.Context) error {
	began := m.now()
	u, err := m.container.Usage(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	first := m.sampled.IsZero()
	m.sampled = m.now()
	// The first sample also finds its source.
	if took := m.sampled.Sub(began); !first && (m.took == 0 || took < m.took) {
		m.took = took
	}
	if err != nil {
		return err
	}
	m.last = u
	m.series.add(m.sampled, u.CPU, u.Memory)
	for _, w := range m.windows {
		if w.first == nil {
			w.first = &u
		}
		w.peak = max(w.peak, u.Memory)
	}
	return nil
}

// maxAge is the age up to which a sample counts as the first of a window. So the last sample
// of a command is also the first of the next command.
const maxAge = time.Millisecond

// maxCheapSample is the duration up to which a sample is also taken at both ends of each
// window.
const maxCheapSample = time.Millisecond

// sampleIfCheap takes a sample if that delays the build only a little, and the last one is
// older than maxAge.
func (m *meter) sampleIfCheap(ctx context.Context, maxAge time.Duration) {
	m.mu.Lock()
	cheap := m.took > 0 && m.took < maxCheapSample && m.now().Sub(m.sampled) >= maxAge
	m.mu.Unlock()
	if cheap {
		_ = m.sample(ctx)
	}
}

// open begins a window; nil for a nil meter.
func (m *meter) open(ctx context.Context) *window {
	if m == nil {
		return nil
	}
	m.sampleIfCheap(ctx, maxAge)
	m.mu.Lock()
	defer m.mu.Unlock()
	w := &window{peak: m.last.Memory}
	if last := m.last; last != (engine.Usage{}) {
		w.first = &last
	}
	m.windows = append(m.windows, w)
	return w
}

// close ends a window and returns its usage; nil without a sample.
func (m *meter) close(ctx context.Context, w *window) *Used {
	if m == nil || w == nil {
		return nil
	}
	m.sampleIfCheap(ctx, 0)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.windows = slices.DeleteFunc(m.windows, func(other *window) bool { return other == w })
	if w.first == nil {
		return nil
	}
	return &Used{
		PeakMemory: w.peak,
		CPU:        max(0, m.last.CPU-w.first.CPU).Seconds(),
		Killed:     max(0, m.last.Killed-w.first.Killed),
	}
}

// usage returns the samples since a time; nil for a nil meter.
func (m *meter) usage(began time.Time) *Series {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.series.record(began)
}

// end stops measuring. Call it before the container is removed.
func (m *meter) end() {
	if m != nil {
		m.stop()
		<-m.done
	}
}

// maxShownCommand is the length of the part of a command that a hint shows, in characters.
const maxShownCommand = 60

// explainOOM returns a hint for a command of which the OOM killer ended a process, else "".
// It also sets the limit in u.
func explainOOM(p *Plan, text string, exit int, u *Used) string {
	if u == nil || u.Killed == 0 || exit == 0 {
		return ""
	}
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if runes := []rune(first); len(runes) > maxShownCommand {
		first = string(runes[:maxShownCommand-1]) + "…"
	}
	u.Limit = p.Limits.Memory
	if u.Limit == 0 || u.PeakMemory < u.Limit/2 { // a container inside the build may have its own limit
		return fmt.Sprintf("Out of memory: %s killed by the kernel; peak %s in %s. "+
			"A nested container hit its own limit, or the host is out of memory.",
			processes(u.Killed), human.Memory(u.PeakMemory), first)
	}
	return fmt.Sprintf("Out of memory: more than the %s of %s were needed, and %s killed; peak %s in %s. "+
		"Use a larger --compute-type, or reduce the usage.",
		human.Memory(u.Limit), p.ComputeType, processes(u.Killed), human.Memory(u.PeakMemory), first)
}

func processes(n int) string {
	if n == 1 {
		return "a process was"
	}
	return fmt.Sprintf("%d processes were", n)
}
