package runner

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// newCollector returns a collector whose clock is now, and the events that it sends.
func newCollector(now *time.Time) (*collector, *[]Event) {
	var events []Event
	r := &Runner{Now: func() time.Time { return *now }, Notify: func(e Event) { events = append(events, e) }}
	p := &Plan{Sources: []Source{{}}}
	return &collector{Runner: r, plan: p, rec: newRecorder(r, p)}, &events
}

func TestWatchCopy_EventEveryInterval(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c, events := newCollector(&now)
	copied := c.watchCopy(Copy{Doing: "copying", What: "artifacts", AllFiles: 4, AllBytes: 1 << 30})
	for i := range int64(61) { // a tenth of the interval, and more than one piece, between two
		copied(int(i/20), i*20<<20)
		now = now.Add(copyInterval / 10)
	}
	var got []Copy
	for _, e := range *events {
		got = append(got, e.Copy)
	}
	want := []Copy{}
	for i := int64(11); i < 61; i += 10 {
		want = append(want, Copy{
			Doing: "copying", What: "artifacts", Files: int(i / 20), AllFiles: 4, Bytes: i * 20 << 20, AllBytes: 1 << 30,
		})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWatchCopy_ShortCopySendsNothing(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c, events := newCollector(&now)
	copied := c.watchCopy(Copy{})
	for i := range int64(100) {
		copied(int(i), i*20<<20)
		now = now.Add(copyInterval / 100)
	}
	if len(*events) > 0 {
		t.Errorf("got %v", *events)
	}
}

func TestCopyCounter_EndsWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	z := &copyCounter{ctx: ctx, report: func(int, int64) {}}
	read := z.wrap(strings.NewReader(strings.Repeat("x", 100)))
	if _, err := io.CopyN(io.Discard, read, 10); err != nil {
		t.Fatal(err)
	}
	cancel(stopped)
	if _, err := io.Copy(io.Discard, read); !errors.Is(err, stopped) {
		t.Errorf("got %v", err)
	}
}

func TestCopyTotal_NotBelowTheProgress(t *testing.T) {
	t.Parallel()
	total := &copyTotal{}
	for _, c := range []struct {
		all       *Copy // that is known
		got, want Copy
	}{
		{nil, Copy{Files: 1, Bytes: 5}, Copy{Files: 1, Bytes: 5}},
		{&Copy{AllFiles: 2, AllBytes: 10}, Copy{Files: 1, Bytes: 10}, Copy{Files: 1, AllFiles: 2, Bytes: 10, AllBytes: 10}},
		{&Copy{AllFiles: 2, AllBytes: 10}, Copy{Files: 1, Bytes: 11}, Copy{Files: 1, Bytes: 11}},
		{&Copy{AllFiles: 2, AllBytes: 10}, Copy{Files: 3, Bytes: 10}, Copy{Files: 3, Bytes: 10}},
	} {
		got := c.got
		total.found.Store(c.all)
		if total.addTo(t.Context(), &got); got != c.want {
			t.Errorf("of %+v got %+v, want %+v", c.all, got, c.want)
		}
	}
	total.wait()
}
