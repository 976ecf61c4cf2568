package debug

import (
	"context"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/reach"
	"github.com/buildlocal/buildlocal/dap"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
)

// DialEditor connects an editor to the debugger of a build.
func DialEditor(ctx context.Context, a *cli.App, name string) (dap.Attached, error) {
	b, err := reach.Build(ctx, a, name)
	if err != nil {
		return dap.Attached{}, err
	}
	conn, err := b.DAP(ctx)
	if err != nil {
		_ = b.Close()
		return dap.Attached{}, err
	}
	return dap.Attached{ReadWriteCloser: conn, Ended: func(ctx context.Context) int {
		defer b.Close()
		labels := b.Resource.Labels
		if local.AwaitEnd(ctx, labels[local.LabelTemp], maxEndTime) != nil {
			return cli.ExitFault
		}
		var record runner.Record
		if (builds.Build{Path: labels[local.LabelOutput]}).ReadRecord(&record) != nil {
			return cli.ExitFault
		}
		return exitCodes[record.Status]
	}}, nil
}
