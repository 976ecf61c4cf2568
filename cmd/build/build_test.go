package build

import (
	"context"
	"errors"
	"testing"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/clitest"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
)

func TestVerdict_ExitCode(t *testing.T) {
	t.Parallel()
	lost, full := local.NewLostError(errors.New("broken pipe")), errors.New("no space left")
	for name, test := range map[string]struct {
		result local.Result
		status runner.Status
		want   int
	}{
		"succeeded":          {status: runner.Succeeded, want: cli.ExitSucceeded},
		"log not written":    {local.Result{Output: full}, runner.Succeeded, cli.ExitFault},
		"output lost":        {local.Result{Cause: lost}, runner.Succeeded, cli.ExitFault},
		"stopped by lost":    {local.Result{Cause: lost}, runner.Stopped, cli.ExitFault},
		"failed and lost":    {local.Result{Cause: lost, Output: full}, runner.Failed, cli.ExitFailed},
		"timed out":          {local.Result{Output: full}, runner.TimedOut, cli.ExitTimedOut},
		"stopped":            {local.Result{Cause: runner.ErrStopped}, runner.Stopped, cli.ExitStopped},
		"terminated":         {local.Result{Cause: runner.ErrTerminated}, runner.Stopped, cli.ExitTerminated},
		"fault while it was": {local.Result{Cause: runner.ErrStopped, Fault: full}, runner.Fault, cli.ExitFault},
	} {
		test.result.Record = &runner.Record{Status: test.status}
		err := verdict(test.result)
		if got := cli.ExitCode(err); got != test.want {
			t.Errorf("%s: exit code %d, want %d (%v)", name, got, test.want, err)
		}
	}
}

func TestNewRun_FillsRequest(t *testing.T) {
	t.Parallel()
	a := &cli.App{}
	a.LookupEnv = func(name string) (string, bool) {
		value, found := map[string]string{"BUILDLOCAL_REGION": "eu-west-1", "BUILDLOCAL_ENGINE": "host"}[name]
		return value, found
	}
	var got *Options
	c := NewRun(a, func(_ context.Context, o *Options) error { got = o; return nil })
	c.SetContext(t.Context())
	c.SetArgs([]string{"-C", t.TempDir(), "--engine", "docker", "-e", "A=1", "--timeout", "2", "--compute-type", "small"})
	if err := c.Execute(); err != nil {
		t.Fatal(err)
	}
	if got.Engine.Kind != local.EngineDocker || got.Variables.Region != "eu-west-1" || got.Variables.Set[0] != "A=1" ||
		got.Engine.Timeout.Minutes() != 2 || got.Engine.ComputeType != "BUILD_GENERAL1_SMALL" {
		t.Errorf("got %+v", got.Request)
	}
	if got.Origins["engine"] != local.FromCaller || got.Origins["region"] != local.FromVariable ||
		got.Origins["image"] != local.FromDefault {
		t.Errorf("origins: %v", got.Origins)
	}
}

// shown is the part of the options that the tables compare.
type shown struct {
	image, format, spec   string
	engine                local.EngineKind
	dryRun, quiet, strict bool
}

func show(o *Options) any {
	return shown{o.Image.Name, o.Format, o.Source.Buildspec, o.Engine.Kind, o.DryRun, o.Quiet, o.Checks.Strict}
}

func TestNewRun_Flags(t *testing.T) {
	t.Parallel()
	clitest.Flags(t, NewRun, show, []clitest.Case{
		{Args: "", Want: shown{format: "text", engine: local.EngineAuto}},
		{Args: "-i node:22 -b b.yml -q", Want: shown{
			image: "node:22", format: "text", spec: "b.yml", engine: local.EngineAuto, quiet: true,
		}},
		{Args: "--engine host --format json --strict", Want: shown{
			format: "json", engine: local.EngineHost, strict: true,
		}},
		{Args: "--dry-run", Want: shown{format: "text", engine: local.EngineAuto, dryRun: true}},
		{Args: "-q -v", Err: "--quiet and --verbose cannot be combined"},
		{Args: "--no-cache --cache /c", Err: "--no-cache and --cache cannot be combined"},
		{Args: "--keep --engine sandbox", Err: "--keep and --engine sandbox cannot be combined"},
		{Args: "--docker nested", Err: "--docker nested requires --privileged"},
		{Args: "--format xml", Err: "--format xml: use text, service or json"},
		{Args: "--pull nver --engine hots", Err: "--pull nver: did you mean never?"}, // both are reported
		{Args: "--pull nver --engine hots", Err: "--engine hots: did you mean host?"},
		{Args: "--timeout soon", Err: "--timeout soon: not a duration; use 90s, 45m or a number of minutes"},
		{Args: "--timeout 0", Err: "greater than 0"},
		{Args: "--keep-builds many", Err: "--keep-builds many: not a number"},
		{Args: "buildspec.yml", Err: "takes the directory of a source"},
	})
}

func TestNewPlan_Flags(t *testing.T) {
	t.Parallel()
	clitest.Flags(t, NewPlan, show, []clitest.Case{
		{Args: "", Want: shown{format: "text", engine: local.EngineAuto, dryRun: true}},
		{Args: "-i node:22", Want: shown{image: "node:22", format: "text", engine: local.EngineAuto, dryRun: true}},
		{Args: "--engin host", Err: "unknown flag --engin; did you mean --engine?"},
		{Args: "x", Err: "takes the directory of a source"},
	})
}
