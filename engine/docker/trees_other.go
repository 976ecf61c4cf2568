//go:build !linux

package docker

import (
	"errors"

	"github.com/buildlocal/buildlocal/engine"
)

// isHere: outside Linux the engine is in a virtual machine.
func (e *Engine) isHere() error { return e.sharesFiles() }

// sharesFiles: outside Linux the engine is in a virtual machine.
func (e *Engine) sharesFiles() error { return errors.New("the engine is in a machine of its own") }

func oneFileSystem(engine.Tree) error { return errors.ErrUnsupported }

func whiteouts(string, engine.Tree) error { return errors.ErrUnsupported }

func freeSpace(string) (int64, error) { return 0, errors.ErrUnsupported }
