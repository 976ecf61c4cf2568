package cmd

import (
	"io/fs"
	"time"

	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/runner"
)

// openProgram opens this program for Linux on an architecture.
func (a *App) openProgram(architecture string) (fs.File, error) {
	name, err := a.relay(architecture)
	if err != nil {
		return nil, err
	}
	return regular.Open(name)
}

// hostFS opens a directory of the host for the computation of cache keys.
func hostFS(dir string) fs.FS { return regular.FS(dir, runner.MaxHashedFile) }

// endpoints returns the services that a build can reach.
func endpoints(credentials *runner.Credentials, now func() time.Time) []runner.Endpoint {
	if credentials == nil {
		return nil
	}
	credentials.Now = now
	return []runner.Endpoint{credentials}
}
