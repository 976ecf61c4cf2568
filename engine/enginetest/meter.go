package enginetest

import (
	"errors"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine"
)

// usage checks that the consumption of processes is counted, if the driver supports it. A driver
// may not support it, or only on some hosts; then there is nothing to check.
func (s Suite) usage(t *testing.T) {
	c := s.start(t, s.spec(t))
	m, counts := c.(engine.Metered)
	if !counts {
		return
	}
	before, err := m.Usage(t.Context())
	// The host may have no cgroups that this user can read.
	if errors.Is(err, engine.ErrUnsupported) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	// A loop in the shell itself needs no program, and takes tens of milliseconds everywhere.
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
	// After Close the last values may be returned, but not smaller ones: a build's record would go
	// backwards.
	if u, err := m.Usage(t.Context()); err == nil && u.CPU < after.CPU {
		t.Errorf("a container that is gone uses %+v, and no error", u)
	}
}
