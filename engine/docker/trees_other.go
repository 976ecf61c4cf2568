//go:build !linux

package docker

import (
	"errors"

	"github.com/buildlocal/buildlocal/engine"
)

// checkLocal: outside Linux the engine is in a virtual machine.
func (e *Engine) checkLocal() error { return e.checkSharedFiles() }

// checkSharedFiles: outside Linux the engine is in a virtual machine.
func (e *Engine) checkSharedFiles() error { return errors.New("the engine is in a machine of its own") }

func checkSingleFileSystem(engine.Tree) error { return errors.ErrUnsupported }
