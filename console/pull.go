package console

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner"
)

// pull is the progress of pulling one image.
type pull struct {
	image   string
	size    runner.Pull            // sizes that the registry reported; zero if it has not
	layers  map[string]runner.Pull // the last progress of each layer, by ID
	order   []string               // IDs of the layers, as they first appeared
	began   time.Time              // arrival of the first bytes; zero before
	printed time.Time              // of the last line without a terminal
	lines   int                    // number of lines on the terminal that the next ones replace
}

const (
	// pullInterval is the time between lines of progress without a terminal: enough to see
	// that a long pull is alive, few enough for the log of a CI system.
	pullInterval = 10 * time.Second
	// maxPullLayers is the number of layers that are shown at once. Docker transfers three
	// at a time, and the lines have to fit on the screen to be redrawn.
	maxPullLayers = 8
	// pullBarWidth is the width of a progress bar between its brackets, in characters.
	pullBarWidth = 24
)

// pulled shows progress. On a terminal, lines are redrawn: one for the image and one for
// each active layer. Otherwise a line is written from time to time. The first event names
// the image, with its sizes if the registry reports them.
func (t *Text) pulled(e runner.Event) {
	p := e.Pull
	if t.pull.image != p.Image {
		t.PullDone()
		t.pull = pull{image: p.Image, layers: map[string]runner.Pull{}, printed: e.Time}
		if p.Status != engine.Sized {
			t.pullBegins("")
		}
	}
	switch {
	case p.Status == engine.Sized:
		t.pull.size = p
		t.pullBegins("\n  " + sizes(p))
		return
	case p.Layer != "":
		t.pull.note(e)
	}
	switch {
	case t.o.Quiet:
	case t.o.Terminal:
		t.drawPull(e.Time)
	case e.Time.Sub(t.pull.printed) >= pullInterval && !t.pull.began.IsZero():
		t.pull.printed = e.Time
		t.line("pulling %s: %s", p.Image, t.pull.status(e.Time))
	}
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
	layer, known := p.layers[e.Pull.Layer]
	if !known {
		p.order = append(p.order, e.Pull.Layer)
	}
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
	if total == 0 { // nothing is downloaded for the file of docker save
		return "unpacking"
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

// drawPull redraws the lines. Layers that wait or are complete have none.
func (t *Text) drawPull(now time.Time) {
	if len(t.pull.layers) == 0 {
		return
	}
	var b strings.Builder
	b.WriteString(t.erasePull())
	fmt.Fprintf(&b, "  %s\n", t.pull.status(now))
	lines := 1
	for _, id := range t.pull.order {
		l := t.pull.layers[id]
		active := slices.Contains([]string{"Downloading", "Extracting", "Verifying Checksum", "Download complete"}, l.Status)
		if !active || lines > maxPullLayers {
			continue
		}
		lines++ // each is one line on the screen, as its parts have fixed widths
		fmt.Fprintf(&b, "  %-12s  %s\n", cut(diag.EscapeLine(id), 12), diag.EscapeLine(layerState(l)))
	}
	t.pull.lines = lines
	t.write([]byte(b.String()))
}

// erasePull returns the sequence that moves the cursor to the first of the lines and erases
// everything below (ECMA-48, CUU and ED).
func (t *Text) erasePull() string {
	if t.pull.lines == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\x1b[J", t.pull.lines)
}

// layerState returns the state of a layer, with its progress if the size is known.
func layerState(l runner.Pull) string {
	if l.Total == 0 {
		return l.Status
	}
	return fmt.Sprintf("%s  %-18s %s", pullBar(l.Current, l.Total), l.Status, human.Bytes(l.Total))
}

// pullBar returns a bar for a share. A layer can be larger than the registry said.
func pullBar(part, whole int64) string {
	done := 0
	if whole > 0 {
		done = int(min(part, whole) * pullBarWidth / whole)
	}
	return "[" + strings.Repeat("=", done) + strings.Repeat(" ", pullBarWidth-done) + "]"
}

// PullDone erases the lines of a pull. The image is in use or an error follows, so its
// progress is of no interest any more.
func (t *Text) PullDone() {
	if t.pull.lines > 0 {
		t.write([]byte(t.erasePull()))
		t.fresh = true
	}
	t.pull = pull{}
}
