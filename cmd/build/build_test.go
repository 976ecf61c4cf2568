package build

import (
	"context"
	"errors"
	"testing"

	"github.com/buildlocal/buildlocal/cmd/cli"
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
