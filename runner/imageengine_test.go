package runner_test

import (
	"context"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/enginetest"
)

// imageEngine is a Fake that reports an image.
type imageEngine struct {
	*enginetest.Fake
	image engine.Image
}

// Start implements engine.Engine.
func (e imageEngine) Start(ctx context.Context, spec engine.Spec) (engine.Container, error) {
	spec.Hooks.OnImage(e.image)
	return e.Fake.Start(ctx, spec)
}
