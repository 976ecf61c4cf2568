package console_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/runner"
)

// pulls returns the events of pulling two layers, one every second.
func pulls() []runner.Event {
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	var all []runner.Event
	add := func(p runner.Pull) {
		p.Image = "a:1"
		at = at.Add(time.Second)
		all = append(all, runner.Event{Kind: runner.Pulled, Time: at, Pull: p})
	}
	add(runner.Pull{Status: engine.Sized, Total: 30_000_000, Disk: 78_000_000, Free: 5_000_000_000})
	add(runner.Pull{Layer: "one", Status: "Pulling fs layer"})
	for n := int64(1); n <= 12; n++ {
		add(runner.Pull{Layer: "one", Status: "Downloading", Current: n * 1_000_000, Total: 20_000_000})
	}
	add(runner.Pull{Layer: "two", Status: "Downloading", Current: 5_000_000, Total: 10_000_000})
	add(runner.Pull{Layer: "one", Status: "Extracting", Current: 3_000_000, Total: 20_000_000})
	return all
}

// pulling returns what a Text prints while an image is pulled.
func pulling(o console.Options, events []runner.Event) (out, status string) {
	var b, s bytes.Buffer
	o.Status = &s
	text := console.NewText(&b, o)
	for _, e := range events {
		text.Notify(e)
	}
	text.PullDone()
	return b.String(), s.String()
}

const pullBegins = "pulling a:1: 30MB to download at most, about 78MB on disk, 5GB free\n"

func TestPullProgress_OnlyBeginsWithoutTTY(t *testing.T) {
	t.Parallel()
	if out, status := pulling(console.Options{}, pulls()); out != pullBegins || status != "" {
		t.Errorf("got %q and %q, want %q", out, status, pullBegins)
	}
	if out, status := pulling(console.Options{Quiet: true}, pulls()); out != "" || status != "" {
		t.Errorf("quietly: %q and %q", out, status)
	}
}

func TestPullProgress_StatusLineOnTTY(t *testing.T) {
	t.Parallel()
	out, status := pulling(console.Options{Progress: console.ProgressLine, Width: columns(60)}, pulls())
	if out != pullBegins {
		t.Errorf("got %q, want %q", out, pullBegins)
	}
	frames := strings.Split(status, "\r\x1b[K")
	if len(frames) < 3 || frames[len(frames)-1] != "" {
		t.Fatalf("the status line is not erased: %q", status)
	}
	const want = "pull  pulling a:1  25MB of 30MB, about 3s left       0:15"
	if last := frames[len(frames)-2]; last != want {
		t.Errorf("the last is\n%s\nwant\n%s", last, want)
	}
	for _, frame := range frames {
		if len(frame) > 57 {
			t.Errorf("the line reaches the last column: %q", frame)
		}
	}
}

func TestPullProgress_PlainFromTimeToTime(t *testing.T) {
	t.Parallel()
	events := pulls()
	last := events[len(events)-1]
	last.Time = last.Time.Add(time.Minute)
	out, _ := pulling(console.Options{Progress: console.ProgressPlain}, append(events, last))
	if lines := strings.Count(out, "\n"); lines != 2 || !strings.Contains(out, "pulling a:1  25MB of 30MB") {
		t.Errorf("got %q, want the beginning and one line of progress", out)
	}
}

func TestPullProgress_WithoutSizes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	pull := func(seconds int) runner.Event {
		return runner.Event{Kind: runner.Pulled, Time: at.Add(time.Duration(seconds) * time.Second),
			Pull: runner.Pull{Image: "tar:a.tar", Layer: "one", Status: "Extracting"}}
	}
	_, status := pulling(
		console.Options{Progress: console.ProgressLine, Width: columns(60)},
		[]runner.Event{pull(0), pull(2)},
	)
	if !strings.Contains(status, "pulling tar:a.tar  unpacking") {
		t.Errorf("got %q", status)
	}
}
