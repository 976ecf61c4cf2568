package runner_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/engine/enginetest"
	"github.com/buildlocal/buildlocal/runner"
)

// script is a debugger that answers from a list: "PLACE REASON" → answer. All other stop points
// continue. An answer is used once.
type script struct {
	answers map[string][]runner.Answer
	stops   []string // every stop point
}

func (s *script) pause(_ context.Context, at runner.Stop, _ *runner.Live) runner.Answer {
	key := fmt.Sprintf("%s %s", at.At, at.Reason)
	s.stops = append(s.stops, key)
	if all := s.answers[key]; len(all) > 0 {
		s.answers[key] = all[1:]
		return all[0]
	}
	return runner.Answer{Action: runner.ActionContinue}
}

// commandsOf returns the commands that ran, with their exit statuses.
func commandsOf(r *runner.Record) string {
	var all []string
	for _, c := range r.Commands {
		text := fmt.Sprintf("%s=%d", c.Text, c.Exit)
		if c.ByHand {
			text += "*"
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func TestPause_Points(t *testing.T) {
	t.Parallel()
	s := &script{}
	record, _, err := play(t, t.Context(), &enginetest.Fake{Do: fails("b")}, planOf(t, four), withPause(s))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"install:1 command", "install:finally:1 command", "install:end phase",
		"pre_build:1 command", "pre_build:end phase",
		"build:1 command", "build:1 failure", "build:finally:1 command", "build:end phase",
		"post_build:1 command", "post_build:end phase", "upload_artifacts upload", "end end",
	}
	if diff := cmp.Diff(want, s.stops); diff != "" {
		t.Errorf("stop points (-want +got):\n%s", diff)
	}
	if record.ByHand != nil || record.Status != runner.Failed {
		t.Errorf("a debugger that only continues: %s, by hand %v", record.Status, record.ByHand)
	}
}

func withPause(s *script) func(*runner.Runner) { return func(r *runner.Runner) { r.Pause = s.pause } }

// TestPause_Answers checks what each answer makes of a build whose command b fails.
func TestPause_Answers(t *testing.T) {
	t.Parallel()
	const before, failed = "build:1 command", "build:1 failure"
	answer := func(action runner.Action) []runner.Answer { return []runner.Answer{{Action: action}} }
	edited := []runner.Answer{{Action: runner.ActionRetry, Text: "ok"}}
	tests := map[string]struct {
		at      string
		answers []runner.Answer
		want    string // commands that ran; * for those by hand
		phases  string
		status  runner.Status
		hand    string
	}{
		"continue": {failed, answer(runner.ActionContinue), "i=0 i2=0 p=0 b=1 b2=0 o=0",
			"BUILD FAILED, POST_BUILD SUCCEEDED", runner.Failed, ""},
		"retry, fails again": {failed, answer(runner.ActionRetry), "i=0 i2=0 p=0 b=1 b=1* b2=0 o=0",
			"BUILD FAILED, POST_BUILD SUCCEEDED", runner.Failed, "1 command retried"},
		"retry twice": {failed, slices.Concat(answer(runner.ActionRetry), answer(runner.ActionRetry)),
			"i=0 i2=0 p=0 b=1 b=1* b=1* b2=0 o=0", "BUILD FAILED, POST_BUILD SUCCEEDED", runner.Failed,
			"2 commands retried"},
		"edited": {failed, edited, "i=0 i2=0 p=0 b=1 ok=0* b3=0 b2=0 o=0",
			"BUILD SUCCEEDED, POST_BUILD SUCCEEDED", runner.Succeeded, "1 command edited"},
		"edited before": {before, edited, "i=0 i2=0 p=0 ok=0* b3=0 b2=0 o=0",
			"BUILD SUCCEEDED, POST_BUILD SUCCEEDED", runner.Succeeded, "1 command edited"},
		"skip": {before, answer(runner.ActionSkip), "i=0 i2=0 p=0 b3=0 b2=0 o=0",
			"BUILD SUCCEEDED, POST_BUILD SUCCEEDED", runner.Succeeded, "1 command skipped"},
		"ignore": {failed, answer(runner.ActionIgnore), "i=0 i2=0 p=0 b=1 b3=0 b2=0 o=0",
			"BUILD SUCCEEDED, POST_BUILD SUCCEEDED", runner.Succeeded, "1 failure ignored"},
		"goto another phase": {failed, []runner.Answer{{Action: runner.ActionGoto, To: "post_build:1"}},
			"i=0 i2=0 p=0 b=1 o=0", "BUILD SUCCEEDED, POST_BUILD SUCCEEDED", runner.Succeeded, "1 jump"},
		"goto in the phase": {before, []runner.Answer{{Action: runner.ActionGoto, To: "build:2"}},
			"i=0 i2=0 p=0 b3=0 b2=0 o=0", "BUILD SUCCEEDED, POST_BUILD SUCCEEDED", runner.Succeeded, "1 jump"},
		"goto finally": {before, []runner.Answer{{Action: runner.ActionGoto, To: "build:finally:1"}},
			"i=0 i2=0 p=0 b2=0 o=0", "BUILD SUCCEEDED, POST_BUILD SUCCEEDED", runner.Succeeded, "1 jump"},
		"goto back": {"post_build:1 command", []runner.Answer{{Action: runner.ActionGoto, To: "build:2"}},
			"i=0 i2=0 p=0 b=1 b2=0 b3=0 b2=0 o=0",
			"BUILD FAILED, POST_BUILD SUCCEEDED, BUILD SUCCEEDED, POST_BUILD SUCCEEDED", runner.Failed, "1 jump"},
		"abort":        {failed, answer(runner.ActionAbort), "i=0 i2=0 p=0 b=1", "BUILD STOPPED", runner.Stopped, ""},
		"abort before": {before, answer(runner.ActionAbort), "i=0 i2=0 p=0", "BUILD STOPPED", runner.Stopped, ""},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{answers: map[string][]runner.Answer{c.at: c.answers}}
			fake := &enginetest.Fake{Do: fails("b")}
			record, lines, err := play(t, t.Context(), fake, planOf(t, four), withPause(s))
			if err != nil {
				t.Fatal(err)
			}
			if got := commandsOf(record); got != c.want {
				t.Errorf("commands\n got %s\nwant %s", got, c.want)
			}
			phases := strings.TrimSuffix(strings.TrimPrefix(phasesOf(lines), "INSTALL SUCCEEDED, PRE_BUILD SUCCEEDED, "),
				", UPLOAD_ARTIFACTS SUCCEEDED")
			if phases != c.phases || record.Status != c.status {
				t.Errorf("%s, %s; want %s, %s", record.Status, phases, c.status, c.phases)
			}
			if got := runner.ByHandText(record.ByHand); got != c.hand {
				t.Errorf("by hand %q, want %q", got, c.hand)
			}
			if fake.Closed != 1 {
				t.Errorf("the container was closed %d times", fake.Closed)
			}
		})
	}
}

// TestPause_Repeated checks that a stop says how often its phase will be repeated, and that a retry
// by hand is not one of them.
func TestPause_Repeated(t *testing.T) {
	t.Parallel()
	plan := planOf(t, "version: 0.2\nphases: {build: {on-failure: RETRY-2, commands: [b]}}")
	var left []int
	retried := false
	pause := func(_ context.Context, s runner.Stop, _ *runner.Live) runner.Answer {
		if s.Reason != runner.AfterFailure {
			return runner.Answer{Action: runner.ActionContinue}
		}
		left = append(left, s.Retries)
		if s.Retries == 1 && !retried {
			retried = true
			return runner.Answer{Action: runner.ActionRetry}
		}
		return runner.Answer{Action: runner.ActionContinue}
	}
	record, _, err := play(t, t.Context(), &enginetest.Fake{Do: fails("b")}, plan,
		func(r *runner.Runner) { r.Pause = pause })
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{2, 1, 1, 0}; !slices.Equal(left, want) {
		t.Errorf("repetitions left %v, want %v", left, want)
	}
	if record.Status != runner.Failed {
		t.Errorf("status %s", record.Status)
	}
}

// TestPause_Reloaded checks that commands of an edited buildspec run from the failed one on.
func TestPause_Reloaded(t *testing.T) {
	t.Parallel()
	edited := planOf(t, strings.Replace(four, "commands: [b, b3]", "commands: [new, b, b4]", 1))
	s := &script{answers: map[string][]runner.Answer{
		"build:1 failure": {{Action: runner.ActionRetry, Plan: edited, To: "build:2"}},
	}}
	runs := 0
	do := func(text string, _ io.Writer) int {
		if text == "b" {
			runs++
		}
		if text == "b" && runs == 1 {
			return 1
		}
		return 0
	}
	record, _, err := play(t, t.Context(), &enginetest.Fake{Do: do}, planOf(t, four), withPause(s))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := commandsOf(record), "i=0 i2=0 p=0 b=1 b=0 b4=0 b2=0 o=0"; got != want {
		t.Errorf("commands\n got %s\nwant %s", got, want)
	}
}

// TestPause_TimeLimit checks that the time in which a build is stopped does not count.
func TestPause_TimeLimit(t *testing.T) {
	t.Parallel()
	plan := planOf(t, four, func(in *runner.Inputs) { in.Timeout = 3 * time.Second })
	pause := func(_ context.Context, s runner.Stop, _ *runner.Live) runner.Answer {
		if s.At == "build:1" {
			time.Sleep(4 * time.Second) // longer than the limit
		}
		return runner.Answer{Action: runner.ActionContinue}
	}
	record, _, err := play(t, t.Context(), &enginetest.Fake{}, plan, func(r *runner.Runner) {
		r.Pause, r.Now = pause, time.Now
	})
	if err != nil || record.Status != runner.Succeeded {
		t.Errorf("%v, %s; want SUCCEEDED", err, record.Status)
	}
	if record.Paused < 3900 {
		t.Errorf("stopped for %d ms, want about 4000", record.Paused)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	plan := planOf(t, `version: 0.2
phases:
  install:
    commands:
      # a comment
      - npm ci
  build:
    commands:
      - |
        one
        two
      - npm test
    finally:
      - echo end
`)
	for _, c := range []struct{ where, at, note string }{
		{"install", "install:1", ""},
		{"BUILD", "build:1", ""},
		{"build:2", "build:2", ""},
		{"build:finally:1", "build:finally:1", ""},
		{"build:end", "build:end", ""},
		{"runtimes", "runtimes", ""},
		{"upload-artifacts", "upload_artifacts", ""},
		{":6", "install:1", ""},
		{":5", "install:1", ":5 moved to line 6"},
		{":11", "build:1", ""},
		{"buildspec.yml:12", "build:2", ""},
		{"/^npm/", "install:1 build:2", ""},
		{"/a if b/ if [ -f x ]", "error: no command matches", ""},
		{"failure", "", ""},
		{"failure:each", "", ""},
		{"biuld", "error: expected a phase", ""},
		{"build:9", "error: there is no such command", ""},
		{"build:0", "error: expected PHASE:N", ""},
		{"build:finally:2", "error: there is no such command", ""},
		{"pre_build", "error: pre_build has no commands", ""},
		{":99", "error: there is no command on this line", ""},
		{"other.yml:5", "error: the buildspec is", ""},
		{"/(/", "error: expected a regular expression", ""},
		{"//", "error: expected a pattern", ""},
		{"build if ", "error: the condition is empty", ""},
		{"", "error: expected a phase", ""},
	} {
		var at []string
		note := ""
		w, err := runner.ParseWhere(c.where)
		if err == nil {
			at, note, err = plan.Resolve(w)
		}
		got := strings.Join(at, " ")
		if err != nil {
			got = "error: " + err.Error()
		}
		same := got == c.at || strings.HasPrefix(c.at, "error: ") && strings.HasPrefix(got, c.at)
		if want := c.at; !same || note != c.note {
			t.Errorf("%s: %q, note %q; want %q, note %q", c.where, got, note, want, c.note)
		}
	}
}

// FuzzParseWhere checks that no text makes ParseWhere or Resolve panic.
func FuzzParseWhere(f *testing.F) {
	for _, seed := range []string{"build:2", ":9", "/a/ if b", "a:b:c", "build:finally:1", "x if y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, err := runner.ParseWhere(text)
		if err != nil {
			return
		}
		_, _, _ = planOf(t, four).Resolve(w)
	})
}

func TestChoose(t *testing.T) {
	t.Parallel()
	where := func(texts ...string) (all []runner.Where) {
		for _, text := range texts {
			w, err := runner.ParseWhere(text)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, w)
		}
		return all
	}
	tests := map[string]struct {
		parts  runner.Parts
		want   string
		phases string
	}{
		"only": {runner.Parts{Only: where("build")}, "b=0 b3=0 b2=0", "BUILD SUCCEEDED, UPLOAD_ARTIFACTS SUCCEEDED"},
		"skip a phase and a command": {runner.Parts{Skip: where("install", "build:2")}, "p=0 b=0 b2=0 o=0",
			"PRE_BUILD SUCCEEDED, BUILD SUCCEEDED, POST_BUILD SUCCEEDED, UPLOAD_ARTIFACTS SUCCEEDED"},
		"until a command": {runner.Parts{Until: &where("build:1")[0]}, "i=0 i2=0 p=0 b=0",
			"INSTALL SUCCEEDED, PRE_BUILD SUCCEEDED, BUILD SUCCEEDED, UPLOAD_ARTIFACTS SUCCEEDED"},
		"until a phase": {runner.Parts{Until: &where("pre_build")[0]}, "i=0 i2=0 p=0",
			"INSTALL SUCCEEDED, PRE_BUILD SUCCEEDED, UPLOAD_ARTIFACTS SUCCEEDED"},
	}
	for name, c := range tests {
		plan := planOf(t, four)
		if errs := plan.Choose(c.parts); len(errs) > 0 {
			t.Fatal(errs)
		}
		record, lines, err := play(t, t.Context(), &enginetest.Fake{}, plan)
		if err != nil {
			t.Fatal(err)
		}
		if got := commandsOf(record); got != c.want || phasesOf(lines) != c.phases {
			t.Errorf("%s: %s; %s\nwant %s; %s", name, got, phasesOf(lines), c.want, c.phases)
		}
		if record.Partial == nil || record.Status != runner.Succeeded {
			t.Errorf("%s: partial %v, %s", name, record.Partial, record.Status)
		}
	}
	for text, parts := range map[string]runner.Parts{
		"build:9":   {Skip: where("build:9")},
		"build:1":   {Only: where("build:1")},
		"runtimes":  {Skip: where("runtimes")},
		"build:end": {Skip: where("build:end")},
		"":          {Skip: where("install", "pre_build", "build", "post_build")},
	} {
		if errs := planOf(t, four).Choose(parts); errs[text] == nil {
			t.Errorf("%v: no error for %q: %v", parts, text, errs)
		}
	}
}
