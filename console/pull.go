package console

import (
	"fmt"

	"github.com/buildlocal/buildlocal/runner"
)

// pull is what is known of an image's pull.
type pull struct {
	image  string
	layers map[string]runner.Pull
	drawn  bool // a line is drawn that the next one replaces
}

// pulled shows progress: one line that is redrawn on a terminal, else one line
// when it begins and one when it is done.
func (t *Text) pulled(p runner.Pull) {
	if t.pull.image != p.Image {
		t.pull = pull{image: p.Image, layers: map[string]runner.Pull{}}
		if !t.o.Terminal && !t.o.Quiet {
			t.line("pulling %s", p.Image)
		}
	}
	if p.Layer != "" && p.Status == "Downloading" {
		t.pull.layers[p.Layer] = p
	}
	if !t.o.Terminal || t.o.Quiet {
		return
	}
	var current, total int64
	for _, l := range t.pull.layers {
		current, total = current+l.Current, total+l.Total
	}
	t.write([]byte(fmt.Sprintf("\r\x1b[Kpulling %s  %s of %s  %s", p.Image, Bytes(current), Bytes(total), p.Status)))
	t.pull.drawn = true
}

// pullDone ends the line that was being redrawn.
func (t *Text) pullDone() {
	if t.pull.image == "" {
		return
	}
	if t.pull.drawn {
		t.write([]byte("\r\x1b[K"))
		t.fresh = true
	}
	t.pull = pull{}
}
