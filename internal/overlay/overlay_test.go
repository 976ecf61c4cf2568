package overlay_test

import (
	"testing"

	"github.com/buildlocal/buildlocal/internal/overlay"
)

func TestEscape_Separators(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/plain/path": "/plain/path",
		"/a,b":        `/a\,b`,
		"/a:b":        `/a\:b`,
		`/a\b`:        `/a\\b`,
		`/a\:,b`:      `/a\\\:\,b`,
		"/ü \"'":      "/ü \"'",
	} {
		if got := overlay.Escape(path); got != want {
			t.Errorf("Escape(%s) = %s, want %s", path, got, want)
		}
	}
}

func TestBelow_WholeComponents(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		dir, path, want string
		ok              bool
	}{
		{"/src", "/src", ".", true},
		{"/src", "/src/a/b", "a/b", true},
		{"/src", "/src2/a", "", false},
		{"/src", "/", "", false},
		{"/src/a", "/src", "", false},
	} {
		got, ok := overlay.Below(test.dir, test.path)
		if ok != test.ok || ok && got != test.want {
			t.Errorf("Below(%s, %s) = %s, %v; want %s, %v", test.dir, test.path, got, ok, test.want, test.ok)
		}
	}
}
