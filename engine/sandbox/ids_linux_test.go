package sandbox

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSubIDs_ByNameOrUID(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "subuid")
	text := "other:1:2\nbroken\nme:x:1\nme:0:0\nme:100000:65536\nme:500000:65536\n1234:300000:10\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]block{"me": {100000, maxIDs}, "1234": {300000, 10}, "nobody": {}, "": {}} {
		if got := subIDs(file, []string{name}); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if got := subIDs(filepath.Join(t.TempDir(), "none"), []string{"me"}); got != (block{}) {
		t.Errorf("no file: %v", got)
	}
}
