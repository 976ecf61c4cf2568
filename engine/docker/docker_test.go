package docker_test

import (
	"context"
	"os"
	"testing"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/enginetest"
)

// connect returns the machine's engine. Without one the test is skipped, or
// fails where BUILDLOCAL_REQUIRE_ENGINE says that there has to be one.
func connect(t *testing.T) *docker.Engine {
	t.Helper()
	e, err := docker.Connect(docker.Options{Host: os.Getenv("DOCKER_HOST"), Home: os.Getenv("HOME")})
	if err == nil {
		err = e.Ping(t.Context())
	}
	if err != nil && os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") == "" {
		t.Skipf("no Docker engine: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func TestContract(t *testing.T) {
	e := connect(t)
	enginetest.Run(t, enginetest.Suite{
		Engine: e, Image: "buildlocal-test/base:latest", Trees: true,
		Left: func(ctx context.Context, label string) (int, error) {
			left, err := e.List(ctx, label)
			return len(left), err
		},
	})
}

var _ engine.Engine = (*docker.Engine)(nil)
