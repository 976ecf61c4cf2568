package cmd

import (
	"context"
	"errors"
	"testing"

	"github.com/buildlocal/buildlocal/runner"
)

func TestTheWorstOfABuildIsItsExitCode(t *testing.T) {
	t.Parallel()
	lost, full := unwritable{errors.New("broken pipe")}, errors.New("no space left")
	for name, test := range map[string]struct {
		status          runner.Status
		cause           error
		failed, written error
		want            int
	}{
		"succeeded":                     {status: runner.Succeeded, want: exitSucceeded},
		"its log is lost":               {status: runner.Succeeded, written: full, want: exitFault},
		"its output is lost":            {status: runner.Succeeded, cause: lost, want: exitFault},
		"stopped, for it is lost":       {status: runner.Stopped, cause: lost, want: exitFault},
		"failed, and its output lost":   {status: runner.Failed, cause: lost, written: full, want: exitFailed},
		"timed out":                     {status: runner.TimedOut, written: full, want: exitTimedOut},
		"stopped":                       {status: runner.Stopped, cause: runner.ErrStopped, want: exitStopped},
		"terminated":                    {status: runner.Stopped, cause: runner.ErrTerminated, want: exitTerminated},
		"a fault, also when it stopped": {status: runner.Fault, cause: runner.ErrStopped, failed: full, want: exitFault},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		if test.cause != nil {
			cancel(test.cause)
		}
		err := verdict(ctx, &runner.Record{Status: test.status}, test.failed, test.written)
		if got := exitCode(err); got != test.want {
			t.Errorf("%s: exit code %d, want %d (%v)", name, got, test.want, err)
		}
		cancel(nil)
	}
}
