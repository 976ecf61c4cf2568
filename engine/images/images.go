// Package images gets container images with no daemon - from registries, archives
// and OCI layouts - and keeps them unpacked: one read-only directory for each
// layer, shared between images, that an overlay can be mounted on. It needs Linux.
package images

import (
	"errors"
	"time"
)

// Login is what a registry is told, as the docker configuration has it. An empty
// one is nobody's.
type Login struct{ Username, Password, IdentityToken, RegistryToken string }

// Named is a name in a store, with what it means.
type Named struct {
	Name         string // as a person writes it
	ID           string // sha256:… of the image's configuration
	Digest       string // of what the registry has; empty for none
	Size         int64  // bytes unpacked; layers it shares with others counted
	Pulled, Used time.Time
	Created      time.Time // zero where it does not say
}

// ErrInUse is wrapped by the error for an image that a build uses.
var ErrInUse = errors.New("a build uses it")
