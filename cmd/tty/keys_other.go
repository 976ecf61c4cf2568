//go:build !unix

package tty

import (
	"context"

	"github.com/buildlocal/buildlocal/cmd/cli"
)

// Keys reads single keys from the terminal of this process. It does not do so on this system, where a
// read cannot be ended.
func Keys(context.Context, *cli.App) (keys <-chan byte, stop func()) { return nil, nil }
