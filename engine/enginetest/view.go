package enginetest

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/engine"
)

// view checks that View lists the files that processes see, and none of the host. A link in the
// container must not lead to a file of the host.
func (s Suite) view(t *testing.T) {
	c := s.start(t, s.spec(t))
	// A remote engine has no view of the files.
	v, can := c.(engine.Viewer)
	if !can {
		return
	}
	_, _, stderr := sh(
		t,
		c,
		"mkdir -p /seen/below && echo x >/seen/below/file && ln -s /seen/below /seen/link && ln -s / /seen/out",
	)
	if stderr != "" {
		t.Fatal(stderr)
	}
	root, err := v.View()
	if errors.Is(err, engine.ErrUnsupported) {
		return // the engine is on another host, or this user may not see the container's files
	}
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var got []string
	err = fs.WalkDir(root.FS(), "seen", func(name string, _ fs.DirEntry, err error) error {
		got = append(got, name)
		return err
	})
	if want := "seen seen/below seen/below/file seen/link seen/out"; err != nil || strings.Join(got, " ") != want {
		t.Errorf("found %q, %v; want %q", got, err, want)
	}
	if text, err := root.ReadFile("seen/out/etc/hostname"); err == nil {
		t.Errorf("a link to the root directory led to %q; want an error", text)
	}
}
