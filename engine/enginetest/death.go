package enginetest

import (
	"testing"

	"github.com/buildlocal/buildlocal/engine"
)

// unexplained checks that a container has no explanation for an end that has none from outside.
func unexplained(t *testing.T, c engine.Container, state string) {
	t.Helper()
	if mortal, able := c.(engine.Mortal); able {
		if err := mortal.WhyEnded(t.Context()); err != nil {
			t.Errorf("%s, but WhyEnded returns: %v", state, err)
		}
	}
}
