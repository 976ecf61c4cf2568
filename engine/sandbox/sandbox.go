// Package sandbox runs builds in Linux namespaces, without a container engine: in an image
// that it pulls itself (package images), or in a copy-on-write view of the host's own
// files.
//
// A sandbox is this program, started again in new namespaces (package inside), which mounts
// the file system and starts the processes. The network is the host's.
//
// It keeps builds from damaging the host by accident. It is not a security boundary.
package sandbox

import (
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/images"
)

// Mode is the kind of file system of a sandbox.
type Mode string

// The modes, named as the values of --engine.
const (
	Images Mode = "sandbox" // an image
	Host   Mode = "host"    // the host's own files
)

// Options configures an Engine.
type Options struct {
	Mode  Mode
	User  string   // user name, to find its subordinate IDs; may be empty
	Mask  []string // Host: absolute directories and files that the build cannot see
	Path  string   // Host: PATH of the build
	Store string   // Images: absolute directory of the image store
	Now   func() time.Time
	Login func(registry string) (images.Login, error) // nil for no logins

	failAt int  // tests: the number of the mount that fails
	die    bool // tests: the server is killed before that mount instead
}

// Report is the result of Check.
type Report struct {
	Users string   // which users the sandbox has
	Notes []string // limitations
}

// check returns a fault that wraps engine.ErrUnsupported if a sandbox cannot honour a spec.
func (o Options) check(s engine.Spec, root bool) error {
	switch {
	case s.Keep:
		return o.unsupported("keeps no container: it ends with buildlocal")
	case s.Network.Socket != nil:
		return o.unsupported("cannot give the build a Docker engine's socket: the engine could not see what the build writes")
	case s.Network.Name != "" || len(s.Network.Hosts)+len(s.Network.Ports) > 0:
		return o.unsupported("has no network of its own: builds share that of the host")
	case s.Image.Platform != "" && s.Image.Platform != native():
		return o.unsupported("has no emulator, and runs no other platform than " + native())
	case s.Resources.Privileged && !root:
		return o.unsupported("has no privileged mode for a plain user")
	}
	return nil
}

// unsupported returns that fault. Its message says how the sandbox differs from the spec.
func (o Options) unsupported(what string) error {
	return &engine.Fault{
		Kind:    engine.Refused,
		Err:     engine.ErrUnsupported,
		Message: "the engine " + string(o.Mode) + " " + what,
		Hint:    "Leave that out, or use docker.",
	}
}
