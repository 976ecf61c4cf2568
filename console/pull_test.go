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

func TestPullProgress_ThrottledWithoutTTY(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	text := console.NewText(&b, console.Options{})
	for _, e := range pulls() {
		text.Notify(e)
	}
	const want = "pulling a:1\n  30MB to download at most, about 78MB on disk, 5GB free\npulling a:1: 9MB of 30MB, " +
		"about 19s left\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestPullProgress_LayersOnTTY(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	text := console.NewText(&b, console.Options{Terminal: true})
	for _, e := range pulls() {
		text.Notify(e)
	}
	frames := strings.Split(b.String(), "\x1b[J")
	const want = "  25MB of 30MB, about 3s left\n" +
		"  one           [========================]  Extracting         20MB\n" +
		"  two           [============            ]  Downloading        10MB\n"
	if last := frames[len(frames)-1]; last != want {
		t.Errorf("the last is\n%swant\n%s", last, want)
	}
	text.PullDone()
	if !strings.HasSuffix(b.String(), "\x1b[3A\x1b[J") {
		t.Errorf("it is not erased: %q", b.String()[max(0, b.Len()-20):])
	}
	quiet := bytes.Buffer{}
	text = console.NewText(&quiet, console.Options{Terminal: true, Quiet: true})
	for _, e := range pulls() {
		text.Notify(e)
	}
	if quiet.Len() > 0 {
		t.Errorf("quietly: %q", quiet.String())
	}
}

func TestPullProgress_WithoutSizes(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	text := console.NewText(&b, console.Options{Terminal: true})
	text.Notify(runner.Event{Kind: runner.Pulled, Pull: runner.Pull{Image: "tar:a.tar", Layer: "one",
		Status: "Extracting"}})
	const want = "  unpacking\n  one           Extracting\n"
	if !strings.HasSuffix(b.String(), want) {
		t.Errorf("got\n%swant at its end\n%s", b.String(), want)
	}
}
