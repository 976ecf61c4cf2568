// Package images pulls container images without a container engine, and keeps them unpacked
// in a [Store]. Sources are registries, archives of docker save (tar:FILE) and OCI layouts
// (oci:DIR).
//
// Each layer is a read-only directory with whiteouts, shared between images, and can be a
// lower layer of an overlay. The package needs Linux; only [Measure] works everywhere.
package images

import (
	"errors"
	"time"
)

// Login is a login of a registry, as in the docker configuration. An empty one is no login.
type Login struct{ Username, Password, IdentityToken, RegistryToken string }

// Named is a name in a store, with its image.
type Named struct {
	Name         string // in its usual short form
	ID           string // sha256:… of the image's configuration
	Digest       string // of the image in its registry; empty if it does not come from one
	Size         int64  // bytes unpacked, including layers that are shared with other images
	Pulled, Used time.Time
	Created      time.Time // zero if the image does not record it
}

// ErrInUse is wrapped by the error for an image that a build uses.
var ErrInUse = errors.New("a build uses it")
