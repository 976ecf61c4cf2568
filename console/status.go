package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner"
)

// Progress is how the progress of a build is shown.
type Progress string

// The kinds of progress.
const (
	ProgressAuto  Progress = "auto"  // line on a terminal, else off
	ProgressLine  Progress = "line"  // a status line that is redrawn
	ProgressPlain Progress = "plain" // a line from time to time
	ProgressOff   Progress = "off"
)

// ProgressKinds returns all kinds.
func ProgressKinds() []string {
	return []string{string(ProgressAuto), string(ProgressLine), string(ProgressPlain), string(ProgressOff)}
}

const (
	// statusDelay is the time after which the status line appears, so that quick phases do not
	// flicker, and between two looks at the clock.
	statusDelay = 200 * time.Millisecond
	// plainInterval is the time between two lines of ProgressPlain.
	plainInterval = 30 * time.Second
	// silence is the time without output from which the status line says so.
	silence = time.Minute
	// roomForEcho is what the status line leaves free, in columns: for the ^C that a terminal
	// prints, and for the last column, after which some terminals wrap.
	roomForEcho = 3
	// clockWidth is the width of the clock at the right of the status line, such as 1:02:05.
	clockWidth = 7
)

// status is what the build is doing, for a line at the bottom of the terminal. The line is
// drawn only while the cursor is at the beginning of a line, and erased before anything else
// is printed, so it leaves nothing behind.
type status struct {
	phase   string    // such as BUILD 2/4
	doing   string    // such as the command
	command string    // its whole text; "" between commands
	since   time.Time // beginning of what the clock shows; zero for nothing to show
	output  time.Time // time of the last output of the command; zero without a command
	shown   string    // the line on the screen; "" for none
	printed time.Time // of the last line of ProgressPlain

	held bool          // the build is stopped at a prompt
	stop chan struct{} // closed at the end of the build; nil before the beginning
}

// follow keeps the status up to date.
func (t *Text) follow(e runner.Event) {
	s := &t.status
	switch e.Kind {
	case runner.BuildBegan:
		t.tick()
	case runner.PhaseBegan:
		*s = s.between(e)
	case runner.CommandBegan:
		s.phase, s.doing, s.since, s.output = string(e.Phase)+t.count(e), firstLine(e.Text), e.Time, e.Time
		s.command = e.Text
	case runner.Printed:
		s.output = e.Time
	case runner.CommandEnded:
		*s = s.between(e)
	case runner.Copying:
		s.doing = copyText(e.Copy)
	case runner.Pulled:
		// pulled sets the text, because it knows the sum of all layers.
	case runner.StoppedAt:
		s.held = true
		t.erase()
	case runner.Resumed:
		s.held = false
	case runner.BuildEnded:
		s.since = time.Time{}
		t.erase()
		if s.stop != nil {
			close(s.stop)
			s.stop = nil
		}
	}
}

// between returns the status of a phase while no command runs.
func (s status) between(e runner.Event) status {
	s.phase, s.doing, s.command, s.since, s.output = string(e.Phase), "", "", e.Time, time.Time{}
	return s
}

// count returns the number of a command and of all commands of its phase, such as " 2/4".
func (t *Text) count(e runner.Event) string {
	if t.plan == nil || e.At == runner.ImagePlace {
		return ""
	}
	for _, p := range t.plan.Phases {
		all := len(p.Commands)
		if e.Finally {
			all = len(p.Finally)
		}
		if p.Type == e.Phase {
			return fmt.Sprintf(" %s/%d", e.At[strings.LastIndexByte(e.At, ':')+1:], all)
		}
	}
	return ""
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// copyText shows how far a copy is, such as "copying artifacts  1.2GB of 3.2GB, 1204 of 4000
// files". The totals are not known while files are still being listed.
func copyText(c runner.Copy) string {
	ofBytes, ofFiles := "", ""
	if c.AllFiles > 0 {
		ofBytes, ofFiles = " of "+human.Bytes(c.AllBytes), fmt.Sprintf(" of %d", c.AllFiles)
	}
	return fmt.Sprintf("%s %s  %s%s, %d%s files", c.Doing, c.What, human.Bytes(c.Bytes), ofBytes, c.Files, ofFiles)
}

// tick starts a goroutine that redraws the status until the build ends.
func (t *Text) tick() {
	if t.o.Progress != ProgressLine && t.o.Progress != ProgressPlain {
		return
	}
	stop := make(chan struct{})
	t.status.stop = stop
	go func() {
		ticker := time.NewTicker(statusDelay)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case now := <-ticker.C:
				t.mu.Lock()
				t.draw(now)
				t.mu.Unlock()
			}
		}
	}()
}

// draw shows the status as it is at a time.
func (t *Text) draw(now time.Time) {
	s := &t.status
	if s.held || s.since.IsZero() || now.Sub(s.since) < statusDelay {
		return
	}
	switch t.o.Progress {
	case ProgressLine:
		if line := t.statusLine(now); t.fresh && line != s.shown {
			t.erase()
			fmt.Fprint(t.o.Status, line)
			s.shown = line
		}
	case ProgressPlain:
		if now.Sub(s.since) >= plainInterval && now.Sub(s.printed) >= plainInterval {
			s.printed = now
			t.line("%s  %s  %s", s.phase, s.doing, human.Clock(now.Sub(s.since)))
		}
	}
}

// statusLine returns the line at a time: what the build does at the left, and how long at the
// right. It is narrower than the terminal, whose cursor would wrap otherwise.
func (t *Text) statusLine(now time.Time) string {
	s := &t.status
	columns := t.columns(maxTable) - roomForEcho
	if t.o.Width == nil { // the status is on another terminal than the writer
		columns = minColumns*2 - roomForEcho
	}
	right := human.Clock(now.Sub(s.since))
	if t.o.Usual != nil && s.command != "" {
		if usual := t.o.Usual(s.command); usual >= time.Second {
			right += " of ~" + human.Clock(usual)
		}
	}
	if quiet := now.Sub(s.output); !s.output.IsZero() && quiet >= silence {
		right = "no output for " + human.Clock(quiet) + "      " + right
	}
	left := t.cut(diag.EscapeLine(s.phase+"  "+s.doing), columns-max(width(right), clockWidth)-1)
	return pad(left, columns-width(right)) + right
}

// eraseLine moves the cursor to the beginning of the line and erases the line (ECMA-48, EL).
const eraseLine = "\r\x1b[K"

// Pulling names an image in the status line, until its registry answers.
func (t *Text) Pulling(image string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.o.Progress == ProgressLine {
		t.erase()
		t.status.shown = t.cut("pulling "+diag.EscapeLine(image), t.columns(maxTable)-roomForEcho)
		fmt.Fprint(t.o.Status, t.status.shown)
	}
}

// erase removes the status line from the screen.
func (t *Text) erase() {
	if t.status.shown != "" {
		t.status.shown = ""
		fmt.Fprint(t.o.Status, eraseLine)
	}
}
