//go:build !linux

package conn

import "errors"

// CheckLocal returns an error: on other systems, engines run in a virtual machine.
func (e *Engine) CheckLocal() error { return e.CheckSharedFiles() }

// CheckSharedFiles returns an error: on other systems, engines run in a virtual machine.
func (e *Engine) CheckSharedFiles() error { return errors.New("the engine is in a virtual machine") }
