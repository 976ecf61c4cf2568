//go:build !linux

package sandbox

import (
	"context"
	"runtime"

	"github.com/buildlocal/buildlocal/engine"
)

func native() string { return runtime.GOOS + "/" + runtime.GOARCH }

// errPlatform is returned where there are no namespaces.
var errPlatform = &engine.Fault{Kind: engine.NoEngine, Message: "the engine host needs Linux", Way: "Use docker."}

// IsInit is false: there are no namespaces.
func IsInit([]string) bool { return false }

// Init is never the first process of anything.
func Init() int { return 1 }

// Start says that there are no namespaces.
func (*Engine) Start(context.Context, engine.Spec) (engine.Container, error) { return nil, errPlatform }
