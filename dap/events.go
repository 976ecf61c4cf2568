package dap

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/go-dap"

	"github.com/buildlocal/buildlocal/debugger"
	"github.com/buildlocal/buildlocal/runner"
)

// thread is the number of the only thread.
const thread = 1

// view turns the events of a build into output events.
type view struct {
	*run
	text   bytes.Buffer // what the viewer has written and the client has not got
	viewer Viewer
	source *dap.Source // of the running command; nil if none runs
	line   int         // of it
	// grouped says that the client shows the output as that of a command.
	grouped bool
	pulls   map[string]runner.Pull
	pulled  int // percentage that the client knows; -1 before the first
}

// follow shows the build until it has ended, or the session is over.
func (r *run) follow() {
	defer close(r.shown)
	v := &view{run: r, pulled: -1, pulls: map[string]runner.Pull{}}
	v.viewer = r.build.View(&v.text, r.colors())
	var shown *debugger.Waiting
	for {
		w, changed, ended := r.guest.State()
		if ended && r.build.Run != nil {
			<-r.ended // for the exit code
		}
		if !w.Is(shown) || ended {
			v.showPending() // the output before the stop was passed on before the stop was announced
			r.announce(shown, w)
			shown = w
		}
		if ended {
			r.announceEnd(v)
			return
		}
		select {
		case e := <-r.member.events:
			v.show(e)
		case <-changed:
		case <-r.over:
			return
		case <-r.ctx.Done():
			if r.build.Run == nil { // a launched build ends in good order
				r.build.Drain()
				v.showPending()
				return
			}
			<-r.ended
		}
	}
}

// showPending shows the events that have arrived.
func (v *view) showPending() {
	for {
		select {
		case e := <-v.member.events:
			v.show(e)
		default:
			return
		}
	}
}

// show shows one event.
func (v *view) show(e runner.Event) {
	switch e.Kind {
	case runner.CommandBegan:
		v.source, v.line = v.sourceOf(), e.Line
	case runner.Pulled:
		v.showPull(e.Pull)
	case runner.PhaseEnded, runner.BuildEnded:
		v.endPull()
	}
	if e.Kind != runner.Resumed || e.Text != v.guest.Name() { // else the user knows
		v.viewer.Notify(e)
	}
	if e.Kind == runner.BuildEnded && v.build.Run == nil {
		v.exit = v.build.ExitCode(e.Status)
	}
	category := "console"
	if e.Kind == runner.Printed {
		category = "stdout"
	}
	group := ""
	if e.Kind == runner.CommandBegan && v.text.Len() > 0 {
		group, v.grouped = "start", true
	}
	v.flush(category, group, e.Kind == runner.Printed)
	if e.Kind == runner.CommandEnded {
		v.source, v.line = nil, 0
		if v.grouped {
			v.grouped = false
			v.event("output", dap.OutputEventBody{Category: "console", Group: "end"})
		}
	}
}

// flush sends the text of the viewer. The beginning of a character whose end has not arrived waits,
// if more can follow.
func (v *view) flush(category, group string, more bool) {
	text := v.text.Bytes()
	complete := len(text)
	if more {
		complete = len(text) - incomplete(text)
	}
	if complete == 0 {
		return
	}
	shown := strings.ToValidUTF8(string(text[:complete]), "�")
	body := dap.OutputEventBody{Category: category, Group: group, Output: shown}
	if v.line > 0 {
		body.Source, body.Line = v.source, v.clientLine(v.line)
	}
	rest := bytes.Clone(text[complete:])
	v.text.Reset()
	_, _ = v.text.Write(rest)
	v.event("output", body)
}

// incomplete returns the length of the beginning of a character at the end of a text.
func incomplete(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if b := text[len(text)-n]; utf8.RuneStart(b) {
			if !utf8.FullRune(text[len(text)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}

// pullID identifies the progress of a pull for the client.
const pullID = "pull"

// showPull shows the progress of a pull, if the client shows progress.
func (v *view) showPull(p runner.Pull) {
	if !v.supports(func(c dap.InitializeRequestArguments) bool { return c.SupportsProgressReporting }) {
		return
	}
	if v.pulled < 0 {
		v.pulled = 0
		v.event("progressStart", dap.ProgressStartEventBody{ProgressId: pullID, Title: "Pulling " + p.Image})
	}
	if p.Total > 0 {
		v.pulls[p.Layer] = p
	}
	var done, all int64
	for _, layer := range v.pulls {
		done, all = done+layer.Current, all+layer.Total
	}
	const percent = 100
	if all == 0 {
		return
	}
	if now := int(done * percent / all); now > v.pulled {
		v.pulled = now
		v.event("progressUpdate", dap.ProgressUpdateEventBody{ProgressId: pullID, Percentage: now})
	}
}

// endPull ends the progress of a pull.
func (v *view) endPull() {
	if v.pulled >= 0 {
		v.pulled = -1
		v.event("progressEnd", dap.ProgressEndEventBody{ProgressId: pullID})
	}
}

// announce reports that the build goes on, and where it has stopped.
func (r *run) announce(before, now *debugger.Waiting) {
	if before != nil && !now.Is(before) { // also if this client has asked for it: another one may have, too
		r.event("continued", dap.ContinuedEventBody{ThreadId: thread, AllThreadsContinued: true})
	}
	if now == nil || now.Is(before) {
		return
	}
	r.variables.forget()
	r.announceStepBack(r.guest.CanStepBack())
	body := r.stoppedBody(now)
	r.mu.Lock()
	r.announced = now
	r.mu.Unlock()
	r.event("stopped", body)
}

// announceStepBack reports to the client when it becomes possible, or with another build impossible, to
// step back.
func (s *session) announceStepBack(able bool) {
	s.mu.Lock()
	changed := s.stepsBack != able
	s.stepsBack = able
	s.mu.Unlock()
	if changed { // not dap.Capabilities, which leaves false out
		s.event("capabilities", map[string]any{"capabilities": map[string]bool{"supportsStepBack": able}})
	}
}

// stoppedBody describes a stop.
func (r *run) stoppedBody(w *debugger.Waiting) dap.StoppedEventBody {
	body := dap.StoppedEventBody{
		Reason: "step", Description: "Stopped " + debugger.Describe(w.Stop), ThreadId: thread, AllThreadsStopped: true,
	}
	kinds := map[string]bool{}
	for _, id := range w.Hits {
		if kind, m := r.markOf(id); m != nil {
			kinds[kind] = true
			body.HitBreakpointIds = append(body.HitBreakpointIds, m.id)
		}
	}
	r.mu.Lock()
	target := r.target
	r.target = ""
	r.mu.Unlock()
	switch {
	case w.Failed():
		body.Reason, body.Text = "exception", fmt.Sprintf("%s: exit status %d", w.At, w.Exit)
	case w.Reason == runner.AtTimeout:
		body.Reason, body.Text = "exception", "the time limit is reached"
	case w.Reason == runner.Paused:
		body.Reason = "pause"
	case w.Reason == runner.AtStatement:
	case w.Reason == runner.AtBreakpoint:
		body.Reason = "breakpoint"
	case w.At == target:
		body.Reason = "goto"
	case kinds[functionMarks]:
		body.Reason = "function breakpoint"
	case len(w.Hits) > 0:
		body.Reason = "breakpoint"
		if len(body.HitBreakpointIds) == 0 && r.isEntry(w.Hits) {
			body.Reason = "entry"
		}
	case w.Reason != runner.BeforeCommand:
		body.Reason = "breakpoint"
	}
	return body
}

// isEntry reports whether the breakpoint of a stop is the start of the build.
func (r *run) isEntry(hits []int) bool {
	for _, b := range r.build.Breaks() {
		for _, id := range hits {
			if b.ID == id && b.Event == runner.WhereStart {
				return true
			}
		}
	}
	return false
}

// announceEnd reports that the build has ended.
func (r *run) announceEnd(v *view) {
	v.endPull()
	v.flush("console", "", false)
	r.mu.Lock()
	quiet := r.quiet
	r.mu.Unlock()
	if quiet {
		return
	}
	r.event("exited", dap.ExitedEventBody{ExitCode: r.exit})
	r.event("terminated", nil)
}
