package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner"
)

// pull is the progress of pulling one image.
type pull struct {
	image  string
	size   runner.Pull            // sizes that the registry reported; zero if it has not
	layers map[string]runner.Pull // the last progress of each layer, by ID
	began  time.Time              // arrival of the first bytes; zero before
}

// pulled shows progress: the image and its sizes once, and then the sum of all layers in the
// status line. The first event names the image, with its sizes if the registry reports them.
func (t *Text) pulled(e runner.Event) {
	p := e.Pull
	if t.pull.image != p.Image {
		t.pull = pull{image: p.Image, layers: map[string]runner.Pull{}}
		if p.Status != engine.Sized {
			t.pullBegins("")
		}
	}
	switch {
	case p.Status == engine.Sized:
		t.pull.size = p
		t.pullBegins(": " + sizes(p))
	case p.Layer != "":
		t.pull.note(e)
	}
	if t.status.phase == "" { // an image that is pulled without a build
		t.status.phase, t.status.since = "pull", e.Time
	}
	t.status.doing = strings.TrimSpace("pulling " + ShortImage(p.Image) + "  " + t.pull.status(e.Time))
}

// pullBegins prints the image, and its sizes if they are known.
func (t *Text) pullBegins(sizes string) {
	if !t.o.Quiet {
		t.line("pulling %s%s", t.pull.image, sizes)
	}
}

// sizes returns the sizes in words. The download is an upper limit, because layers that are
// present are not fetched again; the size on disk is an estimate from compressed layers.
func sizes(p runner.Pull) string {
	text := fmt.Sprintf("%s to download at most, about %s on disk", human.Bytes(p.Total), human.Bytes(p.Disk))
	if p.Free > 0 {
		text += fmt.Sprintf(", %s free", human.Bytes(p.Free))
	}
	return text
}

// note records the progress of a layer. The sum of all layers counts downloaded bytes only:
// the engine reports other sizes while it unpacks, so those are replaced by "complete".
// Statuses are the words of the Docker API, which the sandbox engine uses too.
func (p *pull) note(e runner.Event) {
	layer := p.layers[e.Pull.Layer]
	if e.Pull.Status == "Downloading" {
		if p.began.IsZero() {
			p.began = e.Time
		}
		layer = e.Pull
	} else if layer.Total > 0 && e.Pull.Status != "Waiting" && e.Pull.Status != "Pulling fs layer" {
		layer.Current = layer.Total // an unpacked layer is complete
	}
	layer.Status = e.Pull.Status
	p.layers[e.Pull.Layer] = layer
}

// status returns how far the download is, and how long the rest will take at the average
// pace so far. In the first second the pace says little.
func (p *pull) status(now time.Time) string {
	var current, total int64
	for _, l := range p.layers {
		current, total = current+l.Current, total+l.Total
	}
	total = max(total, p.size.Total)
	switch {
	case len(p.layers) == 0:
		return ""
	case total == 0: // nothing is downloaded for the file of docker save
		return "unpacking"
	case current == total:
		return "unpacking " + human.Bytes(total)
	}
	text := fmt.Sprintf("%s of %s", human.Bytes(current), human.Bytes(total))
	passed := now.Sub(p.began)
	rest := total - current
	if p.began.IsZero() || passed < time.Second || current == 0 || rest <= 0 {
		return text
	}
	// In floating point: bytes times nanoseconds overflow an int64 within seconds.
	left := time.Duration(float64(passed) * float64(rest) / float64(current))
	return text + ", about " + left.Round(time.Second).String() + " left"
}

// PullDone ends the progress of an image that is pulled without a build.
func (t *Text) PullDone() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.erase()
	t.pull, t.status.phase, t.status.since = pull{}, "", time.Time{}
}
