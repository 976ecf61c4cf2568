package console_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/runner"
)

// The index refers to the log by offsets, so each of them is compared with the text there.
func TestService_IndexOffsets(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := console.NewServiceFile(&log)
	now := at
	send := func(after time.Duration, e runner.Event) {
		now = now.Add(after)
		e.Time, e.Phase = now, runner.Build
		s.Notify(e)
	}
	send(0, runner.Event{Kind: runner.BuildBegan, Plan: &runner.Plan{Identity: runner.Identity{Start: at}}})
	send(0, runner.Event{Kind: runner.PhaseBegan})
	send(0, runner.Event{Kind: runner.CommandBegan, Text: "make\nall"})
	send(10*time.Millisecond, runner.Event{Kind: runner.Printed, Output: []byte("one\nErr")})
	send(2*time.Second, runner.Event{Kind: runner.Printed, Output: []byte("or: two\n"), Errors: []int64{4}})
	send(time.Second, runner.Event{Kind: runner.Noted, Text: "not in the log"})
	send(time.Second, runner.Event{Kind: runner.CommandEnded, Text: "make\nall", Exit: 2})
	text, index := log.String(), s.Index()
	if got := text[index.Errors[0]:]; !strings.HasPrefix(got, "Error: two\n") {
		t.Errorf("the error line is %.20q", got)
	}
	if c := index.Commands[0]; !strings.HasPrefix(text[c.Output:], "one\n") || !c.Failed ||
		!strings.HasPrefix(text[c.End:], "[Container] ") {
		t.Errorf("%+v of %q", c, text)
	}
	var times []string
	offset, ms := int64(0), int64(0)
	for i := 0; i < len(index.Times); i += 2 {
		offset, ms = offset+index.Times[i], ms+index.Times[i+1]
		times = append(times, time.Duration(ms*int64(time.Millisecond)).String()+" "+text[offset:][:2])
	}
	if got := strings.Join(times, ", "); got != "0s [C, 2.01s or, 4.01s \n[" {
		t.Errorf("times: %q", got)
	}
}
