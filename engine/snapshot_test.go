package engine_test

import (
	"os"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/engine"
)

func TestReadSnapshot_MissingLayer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for n := range 2 {
		if err := os.MkdirAll(engine.SnapshotLayer(dir, n), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := engine.WriteSnapshot(dir, "data"); err != nil {
		t.Fatal(err)
	}
	var data string
	if err := engine.ReadSnapshot(dir, &data); err != nil || data != "data" {
		t.Fatalf("read %q: %v", data, err)
	}
	if err := os.Remove(engine.SnapshotLayer(dir, 1)); err != nil {
		t.Fatal(err)
	}
	data = ""
	if err := engine.ReadSnapshot(dir, &data); err == nil || !strings.Contains(err.Error(), "1 of 2 layers") {
		t.Errorf("a layer is missing: %v", err)
	}
	if data != "data" {
		t.Errorf("the rest, which is needed to remove the snapshot, is %q", data)
	}
}
