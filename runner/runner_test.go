package runner_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/enginetest"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
)

var began = time.Date(2026, 7, 4, 13, 9, 39, 971036000, time.UTC)

// planOf makes a plan from a buildspec's text.
func planOf(t *testing.T, text string, change ...func(*runner.Inputs)) *runner.Plan {
	t.Helper()
	spec, problems := buildspec.Parse("buildspec.yml", []byte(text))
	if problems.Failed() {
		t.Fatal(problems)
	}
	in := runner.Inputs{
		Spec: spec, Location: "buildspec.yml", Image: "image:1", CachePlace: "/home/me/.cache/buildlocal/cache",
		Identity: runner.Identity{
			Project:   "demo",
			UUID:      "11111111-2222-3333-4444-555555555555",
			Number:    7,
			Region:    "eu-west-1",
			Account:   "000000000000",
			Initiator: "me",
			Start:     began,
		},
		Sources: []runner.Source{{Digits: "123456789", Tree: engine.Tree{Host: "/home/me/demo"}}},
	}
	for _, f := range change {
		f(&in)
	}
	plan, err := runner.NewPlan(in)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// shownVariables returns the variables of a plan as they are printed, with their origins.
func shownVariables(p *runner.Plan) string {
	var b strings.Builder
	for _, v := range p.Variables {
		origins := strings.Join(append([]string{v.Origin}, v.Hides...), ", hides ")
		fmt.Fprintf(&b, "%s=%s  (%s)\n", v.Name, p.MaskText(v.Shown()), origins)
	}
	return b.String()
}

// play runs a plan on a fake and returns the events as lines.
func play(
	t *testing.T, ctx context.Context, fake *enginetest.Fake, plan *runner.Plan, change ...func(*runner.Runner),
) (*runner.Record, []string, error) {
	t.Helper()
	var lines []string
	clock := began
	r := &runner.Runner{
		Engine: fake, Nonce: "nonce", Name: "name", Out: t.TempDir(), Temp: t.TempDir(),
		Now: func() time.Time { clock = clock.Add(time.Millisecond); return clock },
		Notify: func(e runner.Event) {
			switch e.Kind {
			case runner.CommandEnded:
				lines = append(lines, fmt.Sprintf("%s: %s = %d", e.Phase, e.Text, e.Exit))
			case runner.PhaseEnded:
				lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Phase, e.Status, e.Context.StatusCode)))
			case runner.Printed:
				lines = append(lines, fmt.Sprintf("> %s", e.Output))
			case runner.Noted:
				topic := "note"
				if e.Topic != "" {
					topic = e.Topic
				}
				lines = append(lines, topic+": "+e.Text)
			}
		},
	}
	for _, f := range change {
		f(r)
	}
	record, err := r.Run(ctx, plan)
	return record, lines, err
}

// fails makes the named commands fail.
func fails(texts ...string) func(string, io.Writer) int {
	return func(text string, _ io.Writer) int {
		if slices.Contains(texts, text) {
			return 1
		}
		return 0
	}
}

const four = `version: 0.2
phases:
  install: {commands: [i], finally: [i2]}
  pre_build: {commands: [p]}
  build: {commands: [b, b3], finally: [b2]}
  post_build: {commands: [o]}
`

// phasesOf returns the status of each phase with commands and of UPLOAD_ARTIFACTS.
func phasesOf(lines []string) string {
	var all []string
	for _, l := range lines {
		for _, name := range []string{"INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD", "UPLOAD_ARTIFACTS"} {
			if strings.HasPrefix(l, name+" ") {
				all = append(all, strings.Fields(l)[0]+" "+strings.Fields(l)[1])
			}
		}
	}
	return strings.Join(all, ", ")
}

func TestRun_PhaseOrder(t *testing.T) {
	t.Parallel()
	const good = "INSTALL SUCCEEDED, PRE_BUILD SUCCEEDED, BUILD SUCCEEDED, " +
		"POST_BUILD SUCCEEDED, UPLOAD_ARTIFACTS SUCCEEDED"
	tests := map[string]struct {
		fail, spec, want string
		status           runner.Status
	}{
		"nothing fails":   {"", four, good, runner.Succeeded},
		"install fails":   {"i", four, "INSTALL FAILED", runner.Failed},
		"pre_build fails": {"p", four, "INSTALL SUCCEEDED, PRE_BUILD FAILED", runner.Failed},
		"build fails": {
			"b",
			four,
			"INSTALL SUCCEEDED, PRE_BUILD SUCCEEDED, BUILD FAILED, POST_BUILD SUCCEEDED, UPLOAD_ARTIFACTS SUCCEEDED",
			runner.Failed,
		},
		"finally fails": {
			"b2",
			four,
			"INSTALL SUCCEEDED, PRE_BUILD SUCCEEDED, BUILD FAILED, POST_BUILD SUCCEEDED, UPLOAD_ARTIFACTS SUCCEEDED",
			runner.Failed,
		},
		"post_build fails": {
			"o",
			four,
			"INSTALL SUCCEEDED, PRE_BUILD SUCCEEDED, BUILD SUCCEEDED, POST_BUILD FAILED, UPLOAD_ARTIFACTS SUCCEEDED",
			runner.Failed,
		},
		"continue after install": {"i", strings.Replace(four, "install: {", "install: {on-failure: CONTINUE, ", 1),
			"INSTALL FAILED, PRE_BUILD SUCCEEDED, BUILD SUCCEEDED, POST_BUILD SUCCEEDED, UPLOAD_ARTIFACTS SUCCEEDED",
			runner.Failed},
		"abort in build": {"b", strings.Replace(four, "  build: {", "  build: {on-failure: ABORT, ", 1),
			"INSTALL SUCCEEDED, PRE_BUILD SUCCEEDED, BUILD FAILED, UPLOAD_ARTIFACTS SUCCEEDED", runner.Failed},
	}
	for name, test := range tests {
		record, lines, err := play(t, t.Context(), &enginetest.Fake{Do: fails(test.fail)}, planOf(t, test.spec))
		if err != nil || record.Status != test.status || phasesOf(lines) != test.want {
			t.Errorf("%s: %s, %v\n got %s\nwant %s", name, record.Status, err, phasesOf(lines), test.want)
		}
	}
}

func TestRun_FailedCommandRunsFinally(t *testing.T) {
	t.Parallel()
	fake := &enginetest.Fake{Do: fails("b")}
	_, lines, err := play(t, t.Context(), fake, planOf(t, four))
	if err != nil {
		t.Fatal(err)
	}
	got := slices.DeleteFunc(lines, func(l string) bool { return !strings.HasPrefix(l, "BUILD") })
	want := []string{"BUILD: b = 1", "BUILD: b2 = 0", "BUILD FAILED COMMAND_EXECUTION_ERROR"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !slices.Contains(fake.State, "export CODEBUILD_BUILD_SUCCEEDING='0'") {
		t.Error("POST_BUILD has no CODEBUILD_BUILD_SUCCEEDING=0")
	}
}

func TestRetry_RepeatsPhase(t *testing.T) {
	t.Parallel()
	for onFailure, want := range map[string]int{
		"RETRY": 4, "RETRY-2": 3, "RETRY-0": 1, "RETRY-5-exit status 9": 1, "RETRY-1-exit status \\d": 2,
	} {
		spec := "version: 0.2\nphases:\n  build:\n    on-failure: " + onFailure + "\n    commands: [a, b]\n    finally: [f]\n"
		runs, finals := 0, 0
		fake := &enginetest.Fake{Do: func(text string, _ io.Writer) int {
			switch text {
			case "a":
				runs++
			case "f":
				finals++
			case "b":
				return 1
			}
			return 0
		}}
		record, _, err := play(t, t.Context(), fake, planOf(t, spec))
		if err != nil || runs != want || finals != 1 || record.Status != runner.Failed {
			t.Errorf("%s: ran %d times, finally %d; want %d and 1 (%s, %v)", onFailure, runs, finals, want, record.Status, err)
		}
	}
}

func TestRetry_Succeeds(t *testing.T) {
	t.Parallel()
	runs := 0
	fake := &enginetest.Fake{Do: func(string, io.Writer) int { runs++; return map[bool]int{true: 1}[runs == 2] }}
	record, _, err := play(
		t, t.Context(), fake, planOf(t, "version: 0.2\nphases: {build: {on-failure: RETRY, commands: [a]}}\n"),
	)
	if err != nil || record.Status != runner.Succeeded {
		t.Errorf("%s, %v", record.Status, err)
	}
}

func TestRun_MissingSecretStartsNoContainer(t *testing.T) {
	t.Parallel()
	fake := &enginetest.Fake{}
	plan := planOf(
		t,
		"version: 0.2\nenv: {parameter-store: {A: /a, B: /b}, secrets-manager: {C: c:k}}\nphases: {build: {commands: [x]}}\n",
	)
	record, lines, err := play(t, t.Context(), fake, plan)
	if err != nil || record.Status != runner.Failed || len(fake.Specs) != 0 {
		t.Fatalf("%s, %v, %d containers", record.Status, err, len(fake.Specs))
	}
	last := record.Phases[2].Contexts[0]
	want := runner.Context{
		StatusCode: "Decrypted Variables Error",
		Message:    "parameter does not exist: /a, /b; secret does not exist: c:k",
	}
	if diff := cmp.Diff(want, last); diff != "" {
		t.Error(diff, lines)
	}
}

func TestRun_MasksSecrets(t *testing.T) {
	t.Parallel()
	fake := &enginetest.Fake{Do: func(text string, out io.Writer) int {
		if strings.Contains(text, "echo") {
			io.WriteString(out, "it is s3cr")
			io.WriteString(out, "et!")
			return 1
		}
		return 0
	}}
	plan := planOf(
		t,
		"version: 0.2\nenv: {parameter-store: {A: /a}}\nphases: {build: {commands: [echo s3cret]}}\n",
		func(in *runner.Inputs) {
			in.Overrides = []runner.Override{{Origin: "-e", Variables: []project.Variable{{Name: "A", Value: "s3cret"}}}}
		},
	)
	record, lines, err := play(t, t.Context(), fake, plan)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(lines, "") + fmt.Sprintf("%+v", record) + shownVariables(plan)
	if strings.Contains(all, "s3cret") || !strings.Contains(all, "> it is > ***!") {
		t.Error(all)
	}
	if !slices.Contains(fake.State, "export A='s3cret'") {
		t.Error("the build does not get the value")
	}
}

func TestRun_StoppedIsFinalized(t *testing.T) {
	t.Parallel()
	for cause, want := range map[error]runner.Status{
		runner.ErrStopped: runner.Stopped, runner.ErrTerminated: runner.Stopped, runner.ErrTimedOut: runner.TimedOut,
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		fake := &enginetest.Fake{Do: func(text string, _ io.Writer) int {
			if text == "b" {
				cancel(cause)
				return 143
			}
			return 0
		}}
		record, lines, err := play(t, ctx, fake, planOf(t, four))
		if err != nil || record.Status != want || fake.Closed != 1 || strings.Contains(phasesOf(lines), "POST_BUILD") {
			t.Errorf("%v: %s, %v, closed %d times: %s", cause, record.Status, err, fake.Closed, phasesOf(lines))
		}
		cancel(nil)
	}
}

func TestRun_HurryDoesNotWait(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	hurry, never := make(chan struct{}), make(chan struct{})
	defer close(never)
	fake := &enginetest.Fake{Do: func(text string, _ io.Writer) int {
		if text == "stuck" {
			cancel(runner.ErrStopped)
			close(hurry)
			<-never
		}
		return 0
	}}
	r := &runner.Runner{Engine: fake, Nonce: "nonce", Out: t.TempDir(), Temp: t.TempDir(), Now: time.Now, Hurry: hurry}
	start := time.Now()
	record, err := r.Run(ctx, planOf(t, "version: 0.2\nphases: {build: {commands: [stuck]}}\n"))
	const grace = 2 * time.Second // of a stop without Hurry, at least
	if err != nil || record.Status != runner.Stopped || fake.Closed != 1 || time.Since(start) >= grace {
		t.Errorf("%s, %v, closed %d times, after %v", record.Status, err, fake.Closed, time.Since(start))
	}
}

func TestRun_EngineErrorIsFault(t *testing.T) {
	t.Parallel()
	broken := &engine.Fault{Kind: engine.NoImage, Message: "no image"}
	record, _, err := play(t, t.Context(), &enginetest.Fake{StartError: broken}, planOf(t, four))
	if !errors.Is(err, broken) || record.Status != runner.Fault ||
		record.Phases[2].Contexts[0].StatusCode != runner.PullError {
		t.Errorf("%v, %+v", err, record)
	}
}

func TestRun_CopiesSourceWithoutMounts(t *testing.T) {
	t.Parallel()
	fake := &enginetest.Fake{Unmounted: true}
	plan := planOf(t, four, func(in *runner.Inputs) {
		in.Sources[0].Stream = func(w io.Writer, prefix string) error { return nil }
	})
	record, _, err := play(t, t.Context(), fake, plan)
	if err != nil || record.Status != runner.Succeeded || len(fake.Specs) != 1 || len(fake.Specs[0].Mounts.Trees) != 0 {
		t.Errorf("%s, %v, %+v", record.Status, err, fake.Specs)
	}
}

func TestArtifacts_CollectedOrMissing(t *testing.T) {
	t.Parallel()
	const src = "/codebuild/output/src123456789/src/"
	fake := &enginetest.Fake{Files: map[string]string{src + "dist/a": "1", src + "dist/.b/c": "22", src + "other": "3"}}
	record, _, err := play(t, t.Context(), fake, planOf(t, four+"artifacts: {files: ['dist/**/*', missing]}\n"))
	want := []runner.Output{
		{Dir: "artifacts", Files: []runner.File{{Path: "dist/.b/c", Size: 2}, {Path: "dist/a", Size: 1}}},
	}
	if diff := cmp.Diff(want, record.Artifacts); diff != "" || err != nil {
		t.Error(err, diff)
	}
	record, _, err = play(t, t.Context(), fake, planOf(t, four+"artifacts: {files: [missing]}\n"))
	last := record.Phases[len(record.Phases)-3]
	if err != nil ||
		last.Contexts[0] != (runner.Context{StatusCode: runner.ClientError, Message: "no matching artifact paths found"}) ||
		record.Status != runner.Failed {
		t.Errorf("%v, %+v", err, last)
	}
}
