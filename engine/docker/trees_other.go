//go:build !linux

package docker

import (
	"errors"

	"github.com/buildlocal/buildlocal/engine"
)

// checkSingleFileSystem is not called: no engine shares this host's files.
func checkSingleFileSystem(engine.Tree) error { return errors.ErrUnsupported }
