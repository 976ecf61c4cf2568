package console_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/runner"
)

// record writes events to a log and a journal, as a build does.
func record(log *console.Service, journal *console.Journal, all []runner.Event) {
	for _, e := range all {
		journal.Notify(e, log.Offset())
		log.Notify(e)
	}
}

// TestContinue_AsIfNeverEnded cuts the log and the journal of a failed build at its last command and
// goes on: log, index and journal are those of a build that never ended.
func TestContinue_AsIfNeverEnded(t *testing.T) {
	start := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	at := func(e runner.Event, seconds float64) runner.Event {
		e.Time, e.Phase = start.Add(time.Duration(seconds*float64(time.Second))), runner.Build
		return e
	}
	plan := &runner.Plan{}
	plan.Identity.Start = start
	failed := []runner.Event{
		at(runner.Event{Kind: runner.BuildBegan, Plan: plan}, 0),
		at(runner.Event{Kind: runner.PhaseBegan}, 0.5),
		at(runner.Event{Kind: runner.CommandBegan, Text: "one", At: "build:1"}, 1),
		at(runner.Event{Kind: runner.Printed, Output: []byte("error: x\n"), Errors: []int64{0}}, 1.5),
		at(runner.Event{Kind: runner.CommandEnded, Text: "one", At: "build:1", Exit: 3, Hints: []string{"hint: y"}}, 2),
	}
	end := []runner.Event{
		at(runner.Event{Kind: runner.PhaseEnded, Status: runner.Failed}, 2.5),
		at(runner.Event{Kind: runner.Said, Text: "end"}, 3),
	}
	more := []runner.Event{
		at(runner.Event{Kind: runner.CommandBegan, Text: "two", At: "build:2"}, 9),
		at(runner.Event{Kind: runner.Printed, Output: []byte("ok\n")}, 9.5),
		at(runner.Event{Kind: runner.CommandEnded, Text: "two", At: "build:2"}, 10),
	}
	var wantLog, wantJournal, log, journal bytes.Buffer
	whole, wholeJournal := console.NewServiceFile(&wantLog), console.NewJournal(&wantJournal)
	record(whole, wholeJournal, append(append([]runner.Event{}, failed...), more...))

	first := console.NewServiceFile(&log)
	record(first, console.NewJournal(&journal), append(append([]runner.Event{}, failed...), end...))
	found, err := console.LastCommand(bytes.NewReader(journal.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if e := found.Event; e.At != "build:1" || e.Exit != 3 || e.Phase != runner.Build || len(e.Hints) != 1 {
		t.Errorf("the last command is %+v", e)
	}
	log.Truncate(int(found.Log))
	journal.Truncate(int(found.Journal))
	second := console.NewServiceFile(&log)
	second.Continue(found.Log, start, first.Index())
	record(second, console.NewJournal(&journal), more)

	second.Offset()
	whole.Offset()
	if log.String() != wantLog.String() {
		t.Errorf("the log is\n%swant\n%s", log.String(), wantLog.String())
	}
	if journal.String() != wantJournal.String() {
		t.Errorf("the journal is\n%swant\n%s", journal.String(), wantJournal.String())
	}
	if got, want := second.Index(), whole.Index(); !reflect.DeepEqual(got, want) {
		t.Errorf("the index is %+v, want %+v", got, want)
	}
}

func TestLastCommand_IncompleteJournals(t *testing.T) {
	for _, text := range []string{"", "{", `{"event":"command_ended","log":5,"at":"build:1"}` + "\n"} {
		if found, err := console.LastCommand(strings.NewReader(text)); err == nil {
			t.Errorf("%q: %+v", text, found)
		}
	}
}
