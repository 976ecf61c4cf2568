package enginetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/engine"
)

// hostTree creates a directory with files to change and to hide. The result is the path of the
// directory, in a directory of the test.
func hostTree(t *testing.T) string {
	t.Helper()
	// Commas, colons and spaces have a meaning in mount options.
	dir := filepath.Join(t.TempDir(), "odd, name: ü")
	for name, text := range map[string]string{
		// keep is a directory with a hidden and a visible file, gone is hidden as a whole, and deep has a
		// hidden directory further down.
		"keep/a": "a", "keep/hidden": "secret", "gone/x": "x", "top": "top", "deep/er/hidden/y": "y", "deep/er/seen": "seen",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// A mode that no default results in, to see whether it is kept.
	if err := os.Chmod(filepath.Join(dir, "deep/er"), 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// over checks that the overlays of a tree look as if they were copied into it, can be
// removed, and do not change on the host.
func (s Suite) over(t *testing.T) {
	if !s.Trees {
		t.Skip("the driver mounts no trees here")
	}
	spec, dir, first, second := s.spec(t), hostTree(t), t.TempDir(), t.TempDir()
	for name, text := range map[string]string{first + "/keep/hidden": "seen", first + "/top": "first",
		second + "/top": "second", second + "/new/er": "new"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	var before []map[string]string
	for _, d := range []string{dir, first, second} {
		before = append(before, Snapshot(t, d))
	}
	spec.Mounts.Trees = []engine.Tree{
		{Host: dir, Path: "/src/it", Hide: []string{"keep/hidden", "gone"}, Overlays: []string{first, second}},
	}
	c := s.start(t, spec)
	_, out, _ := sh(t, c, "cd /src/it && find . | sort && cat top keep/hidden new/er keep/a")
	if want := ".\n./deep\n./deep/er\n./deep/er/hidden\n./deep/er/hidden/y\n./deep/er/seen\n./keep\n./keep/a\n" +
		"./keep/hidden\n./new\n./new/er\n./top\nfirstseennewa"; out != want {
		t.Errorf("inside: %q, want %q", out, want)
	}
	// A directory that is removed and created again must not show its old contents.
	_, out, _ = sh(t, c, "cd /src/it && echo changed >top && rm -r keep new && mkdir new && ls -A new && ls -A && cat top")
	if want := "deep\nnew\ntop\nchanged\n"; out != want {
		t.Errorf("changed inside: %q, want %q", out, want)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	s.untouched(t, spec)
	// Overlays are lower layers as well, and must not change.
	for i, d := range []string{dir, first, second} {
		if diff := cmp.Diff(before[i], Snapshot(t, d)); diff != "" {
			t.Errorf("a directory of the host changed: %s", diff)
		}
	}
}

// trees checks a source that is mounted copy-on-write: hidden files are missing, changes are
// visible inside, and the host's directory stays as it was.
func (s Suite) trees(t *testing.T) {
	spec := s.spec(t)
	dir := hostTree(t)
	before := Snapshot(t, dir)
	spec.Mounts.Trees = []engine.Tree{
		{Host: dir, Path: "/src/it", Hide: []string{"keep/hidden", "gone", "deep/er/hidden"}},
	}
	c, err := s.Engine.Start(t.Context(), spec)
	if !s.Trees {
		// Callers copy the tree instead after this error, so it must be recognizable.
		if !errors.Is(err, engine.ErrUnsupported) {
			t.Fatalf("got %v, want ErrUnsupported", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	_, out, _ := sh(t, c, "cd /src/it && find . | sort && cat top keep/a && stat -c %a deep/er")
	// The listing shows that hidden names are absent and not merely empty.
	if want := ".\n./deep\n./deep/er\n./deep/er/seen\n./keep\n./keep/a\n./top\ntopa711\n"; out != want {
		t.Errorf("inside: %q, want %q", out, want)
	}
	_, out, _ = sh(
		t,
		c,
		"cd /src/it && echo changed >top && rm -r keep && mkdir keep gone && touch gone/new keep/b && chmod 777 . && mv "+
			"deep/er deep/err && cat top && ls gone keep deep",
	)
	if want := "changed\ndeep:\nerr\n\ngone:\nnew\n\nkeep:\nb\n"; out != want {
		t.Errorf("changed inside: %q, want %q", out, want)
	}
	// Artifacts are copied out of mounted trees as of any other directory.
	stream, err := c.CopyOut(t.Context(), "/src/it/gone")
	if err != nil {
		t.Fatal(err)
	}
	if got := unpack(t, stream); got["new"] == "" {
		t.Errorf("CopyOut of a mounted tree: %v", got)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, Snapshot(t, dir)); diff != "" {
		t.Errorf("the host's directory changed: %s", diff)
	}
}

// untouched checks the results of engine.Watcher. A driver may return false or "" for
// everything. The answer is used to skip copying an unchanged directory, so a wrong true would lose
// changes.
func (s Suite) untouched(t *testing.T, spec engine.Spec) {
	spec.Name, spec.Mounts.Temp = spec.Name+"-again", t.TempDir()
	c := s.start(t, spec)
	// A driver whose upper layer is not visible on the host knows nothing.
	w, watches := c.(engine.Watcher)
	if !watches || !w.Untouched("/src/it/new") {
		return
	}
	for _, step := range []struct {
		script    string
		untouched string // of keep, new and deep/er
	}{
		// Reading changes nothing, and neither do changes beside the path.
		{"cat /src/it/keep/a; ls -R /src/it; echo x >/src/it/beside; mkdir /src/it/more", "yes yes yes"},
		{"echo x >/src/it/deep/other", "yes yes yes"},
		// A change of the metadata counts.
		{"chmod 700 /src/it/new/er", "yes no yes"},
		{"rm -r /src/it/keep", "no no yes"},
		{"rm -r /src/it/deep; mkdir /src/it/deep", "no no no"},
	} {
		// The steps build on each other.
		sh(t, c, step.script)
		var got []string
		for _, name := range []string{"keep", "new", "deep/er"} {
			got = append(got, map[bool]string{true: "yes", false: "no"}[w.Untouched("/src/it/"+name)])
		}
		if strings.Join(got, " ") != step.untouched {
			t.Errorf("after %q: untouched are %v, want %s", step.script, got, step.untouched)
		}
	}
	sh(
		t,
		c,
		"mkdir -p /src/it/more/new; mv /src/it/more /src/it/moved; rm -rf /src/it/new; ln -s /nonexistent /src/it/new",
	)
	if w.Untouched("/src/it/new/er") || w.Untouched("/src/it/moved/new") {
		t.Error("a path replaced by a link or another directory is reported as untouched")
	}
	// A path outside of all trees is not under observation, so it must not be reported as unchanged.
	if w.Untouched("/src") || w.Untouched("/src/it") || w.Untouched("/elsewhere") {
		t.Error("a path that is in no tree, or changed, is reported as untouched")
	}
	s.mayHaveWritten(t, spec)
}

// mayHaveWritten checks that a written or moved file is never missed, for a driver that sees
// the changes to a tree.
func (s Suite) mayHaveWritten(t *testing.T, spec engine.Spec) {
	isXML := func(name string) bool { return strings.HasSuffix(name, ".xml") }
	for script, want := range map[string]bool{
		"cat /src/it/keep/a; echo x >/src/it/new.txt; rm /src/it/keep/a": false,
		"echo x >/src/it/deep/er/new.xml":                                true,
		"mv /src/it/keep/a /src/it/a.xml":                                true,
		"echo x >/tmp/a.xml; mv /tmp/a.xml /src/it/deep/":                true,
		"mkdir /src/it/r; ln -s /tmp /src/it/r/link; echo >/tmp/b.xml":   false,
	} {
		spec.Name, spec.Mounts.Temp = spec.Name+"x", t.TempDir()
		c := s.start(t, spec)
		sh(t, c, script)
		if got := c.(engine.Watcher).MayHaveWritten("/src/it", isXML); got != want {
			t.Errorf("after %q: %v, want %v", script, got, want)
		}
		if !c.(engine.Watcher).MayHaveWritten("/elsewhere", isXML) {
			t.Error("a path that is in no tree is reported as unchanged")
		}
	}
}

// volumes checks that a container finds the files that an earlier one left in a volume. Package
// caches are such volumes.
func (s Suite) volumes(t *testing.T) {
	spec := s.spec(t)
	// The labels are required by drivers that find volumes by them.
	v := engine.Volume{
		Name: spec.Name + "-kept",
		// The driver creates the directory, if it stores volumes on the host.
		Host:   filepath.Join(t.TempDir(), "not", "yet"),
		Path:   "/kept/here",
		Labels: map[string]string{"dev.buildlocal.test": "kept"},
	}
	spec.Mounts.Volumes = []engine.Volume{v}
	c := s.start(t, spec)
	if exit, _, complaint := sh(t, c, "test -z \"$(ls -A /kept/here)\" && echo text >/kept/here/file"); exit != 0 {
		t.Errorf("in a new volume: exit status %d: %s", exit, complaint)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The next container has another name and other labels, as another build has.
	next := s.spec(t)
	next.Mounts.Volumes = spec.Mounts.Volumes
	c = s.start(t, next)
	if _, out, _ := sh(t, c, "cat /kept/here/file"); out != "text\n" {
		t.Errorf("in the next container: %q", out)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Volumes are not removed by Close; tests of this package must not leave them either.
	if e, lists := s.Engine.(engine.Lister); lists {
		if err := e.Remove(t.Context(), engine.Resource{Kind: "volume", ID: v.Name, Name: v.Name}); err != nil {
			t.Errorf("remove the volume: %v", err)
		}
	}
}
