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

// errPlatform is the error on systems without namespaces.
var errPlatform = &engine.Fault{
	Kind:    engine.NoEngine,
	Message: "engines sandbox and host require Linux",
	Hint:    "Use docker.",
}

// Engine supports no sandboxes on this system.
type Engine struct{}

// New returns an Engine whose methods return an error.
func New(Options) *Engine { return &Engine{} }

// Warm does nothing.
func (*Engine) Warm() {}

// Close does nothing.
func (*Engine) Close() error { return nil }

// Start returns an error.
func (*Engine) Start(context.Context, engine.Spec) (engine.Container, error) { return nil, errPlatform }

// Check returns an error.
func (*Engine) Check(context.Context, string) (Report, error) { return Report{}, errPlatform }

// Images returns an error.
func (*Engine) Images() ([]images.Named, int64, error) { return nil, 0, errPlatform }

// Pull returns an error.
func (*Engine) Pull(context.Context, string, func(engine.Progress)) error { return errPlatform }

// ReadImageFile returns an error.
func (*Engine) ReadImageFile(string, string) ([]byte, error) { return nil, errPlatform }

// RemoveImages returns an error.
func (*Engine) RemoveImages(context.Context, ...string) error { return errPlatform }

// Sweep does nothing.
func (*Engine) Sweep(func(temp string) bool) {}

// Discard removes a directory of a terminated run.
func (*Engine) Discard(_ context.Context, dir string) error { return os.RemoveAll(dir) }

// CheckSnapshot returns an error.
func (*Engine) CheckSnapshot(context.Context, string, engine.ImageRef) error { return errPlatform }

// RemoveSnapshot removes the directory of a snapshot.
func (*Engine) RemoveSnapshot(_ context.Context, dir string) error { return os.RemoveAll(dir) }
