package runner_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/enginetest"
	"github.com/buildlocal/buildlocal/runner"
)

// errInjected is the error of an engine that fails.
var errInjected = &engine.Fault{Kind: engine.Died, Message: "injected"}

// stepEngine is an engine that counts its steps and fails at one of them. A step is a call
// of the engine or a command in the build's shell.
type stepEngine struct {
	*enginetest.Fake
	failAt int // index of the step; -1 for none
	inject func(step string) error

	mu       sync.Mutex
	steps    []string
	onExit   func(exit int, err error) // of the container's main process
	finished chan struct{}             // closed at the end of the test
}

// step counts a step and returns the injected error.
func (e *stepEngine) step(name string) error {
	e.mu.Lock()
	at := len(e.steps)
	e.steps = append(e.steps, name)
	e.mu.Unlock()
	if at == e.failAt && e.inject != nil {
		return e.inject(name)
	}
	return nil
}

// Start implements engine.Engine.
func (e *stepEngine) Start(ctx context.Context, spec engine.Spec) (engine.Container, error) {
	if err := e.step("start"); err != nil {
		return nil, err
	}
	e.onExit = spec.Hooks.OnExit
	c, err := e.Fake.Start(ctx, spec)
	return &stepContainer{Container: c, engine: e}, err
}

// stepContainer is the container of a stepEngine.
type stepContainer struct {
	engine.Container
	engine *stepEngine
}

// Exec implements engine.Container.
func (c *stepContainer) Exec(ctx context.Context, p engine.Process) (int, error) {
	if err := c.engine.step("exec"); err != nil {
		return 0, err
	}
	return c.Container.Exec(ctx, p)
}

// CopyIn implements engine.Container.
func (c *stepContainer) CopyIn(ctx context.Context, dir string, tar io.Reader) error {
	if err := c.engine.step("copy-in"); err != nil {
		return err
	}
	return c.Container.CopyIn(ctx, dir, tar)
}

// CopyOut implements engine.Container.
func (c *stepContainer) CopyOut(ctx context.Context, path string) (io.ReadCloser, error) {
	if err := c.engine.step("copy-out"); err != nil {
		return nil, err
	}
	return c.Container.CopyOut(ctx, path)
}

// Close implements engine.Container.
func (c *stepContainer) Close(ctx context.Context) error {
	err := c.engine.step("close")
	return errors.Join(err, c.Container.Close(ctx))
}

// withFailures is a buildspec with commands in every phase, an exported variable and an
// artifact. The source is copied, and certificates are.
const withFailures = `version: 0.2
env: {exported-variables: [OUT]}
phases:
  install: {commands: [i]}
  pre_build: {commands: [p]}
  build: {commands: [b], finally: [f]}
  post_build: {commands: [o]}
artifacts: {files: [a]}
`

// outcome is a build that failed at a step.
type outcome struct {
	*stepEngine
	record *runner.Record
	err    error
	out    string // output directory
	exits  map[string]int
}

// failAt runs a build that fails at a step in one way.
func failAt(t *testing.T, step int, way string) outcome {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	finished := make(chan struct{})
	defer close(finished)
	e := &stepEngine{failAt: step, finished: finished, Fake: &enginetest.Fake{
		Unmounted: true, Files: map[string]string{"/codebuild/output/src123456789/src/a": "1"},
	}}
	exit := 0
	e.inject = func(name string) error {
		switch way {
		case "stopped", "timed out":
			cancel(map[string]error{"stopped": runner.ErrStopped, "timed out": runner.ErrTimedOut}[way])
			switch {
			case isBuildCommand(name): // SIGTERM ends it
				exit = 143
			case strings.HasPrefix(name, "command "):
				<-finished
			case name != "close":
				return context.Cause(ctx) // as engines do
			}
		case "engine fault":
			return errInjected
		case "shell lost":
			e.onExit(137, nil)
			<-finished // the command does not end any more
		case "exit status":
			exit = 3
		}
		return nil
	}
	e.Do = func(text string, _ io.Writer) int {
		exit = 0
		_ = e.step("command " + text)
		return exit
	}
	plan := planOf(t, withFailures, func(in *runner.Inputs) {
		in.Certificates, in.CABundle = []byte("-----BEGIN"), "ca.pem"
		in.Sources[0].Stream = func(w io.Writer, _ string) error { return nil }
	})
	o := outcome{stepEngine: e, exits: map[string]int{}}
	record, _, err := play(t, ctx, nil, plan, func(r *runner.Runner) {
		r.Engine, o.out = e, r.Out
		notify := r.Notify
		r.Notify = func(event runner.Event) {
			if event.Kind == runner.CommandEnded {
				o.exits[event.Text] = event.Exit
			}
			notify(event)
		}
	})
	o.record, o.err = record, err
	return o
}

// isBuildCommand reports whether a step is a command of the buildspec.
func isBuildCommand(step string) bool {
	return slices.Contains([]string{"command i", "command p", "command b", "command f", "command o"}, step)
}

// TestRun_FailureAtEachStep stops a build at every step in turn, in each way that is
// possible there, and checks the record and the resources.
func TestRun_FailureAtEachStep(t *testing.T) {
	t.Parallel()
	steps := failAt(t, -1, "").steps
	const least = 12
	if len(steps) < least {
		t.Fatalf("%d steps: %q; want at least %d", len(steps), steps, least)
	}
	cases := 0
	for i, step := range steps {
		isCommand := strings.HasPrefix(step, "command ")
		for way, want := range map[string]runner.Status{
			"stopped": runner.Stopped, "timed out": runner.TimedOut, "engine fault": runner.Fault,
			"shell lost": runner.Fault, "exit status": runner.Failed,
		} {
			switch {
			case way == "engine fault" && isCommand, way == "shell lost" && !isCommand,
				way == "exit status" && !isBuildCommand(step):
				continue // not possible at this step
			case step == "close" && (way == "stopped" || way == "timed out"):
				want = runner.Succeeded // too late
			}
			cases++
			t.Run(fmt.Sprintf("%d %s %s", i, strings.Fields(step)[0], way), func(t *testing.T) {
				t.Parallel()
				o := failAt(t, i, way)
				if o.record.Status != want {
					t.Errorf("at %s: status %s, want %s", step, o.record.Status, want)
				}
				if fault := want == runner.Fault; fault != (o.err != nil) {
					t.Errorf("at %s: error %v, want one: %v", step, o.err, fault)
				}
				if way == "engine fault" && !errors.Is(o.err, errInjected) {
					t.Errorf("at %s: error %v, want the engine's", step, o.err)
				}
				if text, _ := strings.CutPrefix(step, "command "); way == "exit status" && o.exits[text] != 3 {
					t.Errorf("exit status %d of %s, want 3", o.exits[text], text)
				}
				checkPhases(t, o, want)
				checkResources(t, o)
			})
		}
	}
	if cases < 30 {
		t.Errorf("%d cases, want 30 or more", cases)
	}
}

// checkPhases checks the phases of a record: they are in order, end with FINALIZING and
// COMPLETED, and only FINALIZING follows a phase that was stopped or had a fault.
func checkPhases(t *testing.T, o outcome, want runner.Status) {
	t.Helper()
	order := []runner.PhaseType{
		runner.Submitted, runner.Queued, runner.Provisioning, runner.DownloadSource, runner.Install, runner.PreBuild,
		runner.Build, runner.PostBuild, runner.UploadArtifacts, runner.Finalizing, runner.Completed,
	}
	phases := o.record.Phases
	last := -1
	for i, p := range phases {
		at := slices.Index(order, p.Type)
		if at <= last {
			t.Errorf("%s follows %s", p.Type, phases[max(0, i-1)].Type)
		}
		last = at
		final := p.Type == runner.Finalizing || p.Type == runner.Completed
		if fatal := p.Status != runner.Succeeded && p.Status != runner.Failed; fatal && !final {
			if p.Status != want || phases[i+1].Type != runner.Finalizing {
				t.Errorf("%s is %s and %s follows", p.Type, p.Status, phases[i+1].Type)
			}
		}
	}
	if last != len(order)-1 || phases[len(phases)-2].Type != runner.Finalizing || !o.record.Complete {
		t.Errorf("the record ends with %+v", phases[len(phases)-1])
	}
}

// checkResources checks that the container is closed and that no temporary directory is
// left in the output directory.
func checkResources(t *testing.T, o outcome) {
	t.Helper()
	started := len(o.Specs)
	if o.Closed != started {
		t.Errorf("%d containers started, %d closed", started, o.Closed)
	}
	entries, err := os.ReadDir(o.out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".collecting-") {
			t.Errorf("%s is left", e.Name())
		}
	}
}

func TestRun_KeepsContainer(t *testing.T) {
	t.Parallel()
	for _, stuck := range []bool{false, true} {
		fake := &enginetest.Fake{Do: fails("b")}
		if stuck {
			fake = &enginetest.Fake{Unmounted: true}
		}
		plan := planOf(t, four, func(in *runner.Inputs) {
			in.Sources[0].Stream = func(io.Writer, string) error { return errors.New("unreadable source") }
		})
		record, _, err := play(t, t.Context(), fake, plan, func(r *runner.Runner) { r.Keep = true })
		// A container is not kept after a fault.
		if record.Kept == stuck || (fake.Closed == 0) == stuck || (err != nil) != stuck {
			t.Errorf("fault %v: kept %v, closed %d times, %v", stuck, record.Kept, fake.Closed, err)
		}
	}
}

func TestRun_DurationsAndTimeout(t *testing.T) {
	t.Parallel()
	plan := planOf(t, four, func(in *runner.Inputs) { in.Timeout = time.Nanosecond })
	record, _, err := play(t, t.Context(), &enginetest.Fake{}, plan)
	if err != nil || record.Status != runner.TimedOut {
		t.Errorf("%s, %v", record.Status, err)
	}
	for _, p := range record.Phases {
		if p.Type != runner.Completed && (p.Duration <= 0 || !p.End.After(p.Start)) {
			t.Errorf("%s lasted %v", p.Type, p.Duration)
		}
	}
}
