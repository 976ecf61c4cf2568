// Package sandbox runs builds on Linux namespaces, with no daemon: in an image that
// it has itself, or in a copy-on-write view of this machine's own files. It keeps
// builds from harming the machine by accident; it is no wall against attackers.
package sandbox

import (
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/images"
)

// Shape is what a sandbox is laid from.
type Shape string

// The shapes, called as --engine calls them.
const (
	Images Shape = "sandbox" // an image
	Host   Shape = "host"    // this machine's own files
)

// Options says what the environment is like.
type Options struct {
	Shape Shape
	User  string   // the user's name, by which numbers are borrowed for him; may be empty
	Mask  []string // Host: absolute directories and files that are not to be seen inside
	Path  string   // Host: PATH of the build, as this machine has it
	Store string   // Images: absolute directory where images are kept
	Now   func() time.Time
	Login func(registry string) (images.Login, error) // nil for nobody

	failAt int  // tests: the mount that fails
	die    bool // tests: or before which the process ends that lays the sandbox
}

// Report is what was found when a sandbox was made to try it.
type Report struct {
	Users string   // who there is inside
	Notes []string // what is not as it could be
}

// refuse returns a fault that wraps engine.ErrUnsupported for what a sandbox
// cannot honour.
func (o Options) refuse(s engine.Spec, root bool) error {
	switch {
	case s.Keep:
		return o.unsupported("keeps no container: it ends with buildlocal")
	case s.Network.Socket != nil:
		return o.unsupported("cannot give the build a Docker engine's socket: the engine could not see what the build writes")
	case s.Image.Platform != "" && s.Image.Platform != native():
		return o.unsupported("has no emulator, and runs no other platform than " + native())
	case s.Resources.Privileged && !root:
		return o.unsupported("has no privileged mode for a plain user")
	}
	return nil
}

// unsupported says what a sandbox is or does, instead of what was asked.
func (o Options) unsupported(what string) error {
	return &engine.Fault{Kind: engine.Refused, Err: engine.ErrUnsupported, Message: "the engine " + string(o.Shape) + " " + what, Hint: "Leave that out, or use docker."}
}
