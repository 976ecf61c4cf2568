// Package sandbox runs builds on Linux namespaces, with no daemon. Its one shape
// so far is the host's: a copy-on-write view of this machine's own file system. It
// keeps builds from harming the machine by accident; it is no wall against
// attackers.
package sandbox

import (
	"errors"

	"github.com/buildlocal/buildlocal/engine"
)

// Options says what the environment is like.
type Options struct {
	Path string   // PATH of the build, as this machine has it
	Mask []string // absolute directories and files that are not to be seen inside
}

// Engine makes sandboxes. See engine.Engine.
type Engine struct{ options Options }

// New returns an Engine of this machine.
func New(o Options) *Engine { return &Engine{options: o} }

// errOneUser is returned for a process of another user, where there is one only.
var errOneUser = &engine.Fault{Kind: engine.Refused, Err: engine.ErrUnsupported,
	Message: "the engine host has one user, root, when a plain user runs it", Way: "Leave out run-as, run buildlocal as root, or use docker."}

// refuse returns an error that wraps engine.ErrUnsupported for what a sandbox
// cannot honour.
func refuse(s engine.Spec) error {
	switch {
	case s.Keep:
		return unsupported("keep the container")
	case s.Platform != "" && s.Platform != native():
		return unsupported("another platform than " + native())
	}
	return nil
}

func unsupported(what string) error { return errors.Join(errors.New(what), engine.ErrUnsupported) }
