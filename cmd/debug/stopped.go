package debug

import (
	"context"

	"github.com/buildlocal/buildlocal/cmd/cli"
)

// AttachStopped opens the prompt of the build of this source that is stopped. It returns false if
// there is no such build.
func AttachStopped(ctx context.Context, a *cli.App) (bool, error) {
	name, err := a.StoppedHere(ctx)
	if err != nil || name == "" {
		return false, err
	}
	a.Warnf("attaching to build %s, which is stopped", name)
	return true, attach(ctx, a, &AttachOptions{Build: name})
}
