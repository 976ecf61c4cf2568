//go:build !linux

package sandbox

import (
	"context"
	"os"
	"runtime"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/images"
)

func native() string { return runtime.GOOS + "/" + runtime.GOARCH }

// errPlatform is returned where there are no namespaces.
var errPlatform = &engine.Fault{Kind: engine.NoEngine, Message: "engines sandbox and host require Linux", Hint: "Use docker."}

// Engine makes no sandboxes here.
type Engine struct{}

// New returns an Engine that says so.
func New(Options) *Engine { return &Engine{} }

// Warm starts nothing.
func (*Engine) Warm() {}

// Close has nothing to end.
func (*Engine) Close() error { return nil }

// Start says that there are no namespaces.
func (*Engine) Start(context.Context, engine.Spec) (engine.Container, error) { return nil, errPlatform }

// Check says that there are no namespaces.
func (*Engine) Check(context.Context, string) (Report, error) { return Report{}, errPlatform }

// Images says that there are none.
func (*Engine) Images() ([]images.Named, int64, error) { return nil, 0, errPlatform }

// Pull says that there are no images.
func (*Engine) Pull(context.Context, string, func(engine.Progress)) error { return errPlatform }

// ReadImageFile says that there are no images.
func (*Engine) ReadImageFile(string, string) ([]byte, error) { return nil, errPlatform }

// RemoveImages says that there are no images.
func (*Engine) RemoveImages(context.Context, ...string) error { return errPlatform }

// Sweep has nothing to remove.
func (*Engine) Sweep(func(temp string) bool) {}

// Discard removes a directory of a run that is gone.
func (*Engine) Discard(_ context.Context, dir string) error { return os.RemoveAll(dir) }
