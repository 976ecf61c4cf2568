package debugger

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/runner"
)

// TestGuest_AnswersOnce lets two front ends answer the same stop. The second answer is refused, and changes
// neither where the build stops next nor the next stop.
func TestGuest_AnswersOnce(t *testing.T) {
	t.Parallel()
	d, _ := New(&runner.Plan{Shell: "sh"}, Options{Now: time.Now, Step: true})
	first, second := d.Join("first"), d.Join("second")
	stop := runner.Stop{Reason: runner.BeforeCommand, At: "build:1", Phase: runner.Build}
	live := runner.NewKept(nil)
	pause := func() (*Waiting, <-chan runner.Answer) {
		t.Helper()
		answer := make(chan runner.Answer, 1)
		go func() { answer <- d.Pause(t.Context(), stop, live) }()
		for {
			w, changed, _ := first.State()
			if w != nil {
				return w, answer
			}
			<-changed
		}
	}
	w, answer := pause()
	d.mu.Lock()
	d.step, d.Step = false, false
	d.mu.Unlock()
	if err := first.Do(t.Context(), w, "continue", io.Discard); err != nil {
		t.Fatal(err)
	}
	refused := func(name string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "continued by first") {
			t.Errorf("%s: %v", name, err)
		}
	}
	late := func(name string) {
		t.Helper()
		refused(name, second.Do(context.Background(), w, "next", io.Discard))
		refused(name, second.StepOut(w))
	}
	late("at once")
	if a := <-answer; a.Action != runner.ActionContinue {
		t.Errorf("the answer is %v", a.Action)
	}
	late("after the stop")
	if d.step {
		t.Error("the build stops before the next command")
	}
	d.step = true
	next, answer := pause()
	late("at the next stop")
	if now, _, _ := second.State(); !now.Is(next) {
		t.Error("the next stop was answered")
	}
	if err := second.Do(t.Context(), next, "skip", io.Discard); err != nil {
		t.Error(err)
	}
	if a := <-answer; a.Action != runner.ActionSkip {
		t.Errorf("the answer is %v", a.Action)
	}
}
