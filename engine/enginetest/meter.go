package enginetest

import (
	"errors"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine"
)

// usage holds that what processes use is counted, where the driver says that it is.
func (s Suite) usage(t *testing.T) {
	c := s.start(t, s.spec(t))
	m, counts := c.(engine.Metered)
	if !counts {
		return
	}
	before, err := m.Usage(t.Context())
	if errors.Is(err, engine.ErrUnsupported) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, _, stderr := sh(t, c, "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"); stderr != "" {
		t.Fatal(stderr)
	}
	after, err := m.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if worked := after.CPU - before.CPU; worked < 10*time.Millisecond {
		t.Errorf("a busy loop took %v of processor time", worked)
	}
	if after.Memory <= 0 || after.Killed > 0 {
		t.Errorf("in use: %+v", after)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if u, err := m.Usage(t.Context()); err == nil && u.CPU < after.CPU {
		t.Errorf("a container that is gone uses %+v, and no error", u)
	}
}
