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

// pull is the state of an image's pull.
type pull struct {
	image  string
	size   runner.Pull // when it was sized; zero where it was not
	layers map[string]runner.Pull
	order  []string  // of the layers
	began  time.Time // when the first bytes came
	told   time.Time // when a line was written last
	lines  int       // that are drawn and that the next ones replace
}

// Where there is no terminal a line is written this seldom; on one the layers that are
// shown are at most so many.
const (
	pullEvery  = 10 * time.Second
	pullLayers = 8
	pullWidth  = 24
)

// pulled shows progress: lines that are redrawn on a terminal, one for the whole and one
// for each layer that is under way; else a line now and then.
func (t *Text) pulled(e runner.Event) {
	p := e.Pull
	if t.pull.image != p.Image {
		t.PullDone()
		t.pull = pull{image: p.Image, layers: map[string]runner.Pull{}, told: e.Time}
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
	case e.Time.Sub(t.pull.told) >= pullEvery && !t.pull.began.IsZero():
		t.pull.told = e.Time
		t.line("pulling %s: %s", p.Image, t.pull.whole(e.Time))
	}
}

func (t *Text) pullBegins(sizes string) {
	if !t.o.Quiet {
		t.line("pulling %s%s", t.pull.image, sizes)
	}
}

// sizes prints the sizes to download and to unpack, and the place.
func sizes(p runner.Pull) string {
	text := fmt.Sprintf("%s to download at most, about %s on disk", human.Bytes(p.Total), human.Bytes(p.Disk))
	if p.Free > 0 {
		text += fmt.Sprintf(", %s free", human.Bytes(p.Free))
	}
	return text
}

// note records the progress of a layer. The engine reports different sizes while it
// unpacks.
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

// whole says how far the download is, and how long the rest will take at this pace.
func (p *pull) whole(now time.Time) string {
	var current, total int64
	for _, l := range p.layers {
		current, total = current+l.Current, total+l.Total
	}
	total = max(total, p.size.Total)
	if total == 0 { // as of a file that docker save wrote
		return "unpacking"
	}
	text := fmt.Sprintf("%s of %s", human.Bytes(current), human.Bytes(total))
	passed := now.Sub(p.began)
	rest := total - current
	if p.began.IsZero() || passed < time.Second || current == 0 || rest <= 0 {
		return text
	}
	left := time.Duration(float64(passed) * float64(rest) / float64(current))
	return text + ", about " + left.Round(time.Second).String() + " left"
}

// drawPull draws the lines again.
func (t *Text) drawPull(now time.Time) {
	if len(t.pull.layers) == 0 {
		return
	}
	var b strings.Builder
	b.WriteString(t.erasePull())
	fmt.Fprintf(&b, "  %s\n", t.pull.whole(now))
	lines := 1
	for _, id := range t.pull.order {
		l := t.pull.layers[id]
		active := slices.Contains([]string{"Downloading", "Extracting", "Verifying Checksum", "Download complete"}, l.Status)
		if !active || lines > pullLayers {
			continue
		}
		lines++
		fmt.Fprintf(&b, "  %-12s  %s\n", cut(diag.EscapeLine(id), 12), diag.EscapeLine(layerState(l)))
	}
	t.pull.lines = lines
	t.write([]byte(b.String()))
}

// erasePull goes back to where the lines begin.
func (t *Text) erasePull() string {
	if t.pull.lines == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\x1b[J", t.pull.lines)
}

// layerState prints the state of a layer, with its progress if the size is known.
func layerState(l runner.Pull) string {
	if l.Total == 0 {
		return l.Status
	}
	return fmt.Sprintf("%s  %-18s %s", pullBar(l.Current, l.Total), l.Status, human.Bytes(l.Total))
}

// pullBar shows a share.
func pullBar(part, whole int64) string {
	done := 0
	if whole > 0 {
		done = int(min(part, whole) * pullWidth / whole)
	}
	return "[" + strings.Repeat("=", done) + strings.Repeat(" ", pullWidth-done) + "]"
}

// PullDone ends the lines that are redrawn.
func (t *Text) PullDone() {
	if t.pull.lines > 0 {
		t.write([]byte(t.erasePull()))
		t.fresh = true
	}
	t.pull = pull{}
}
