package docker_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/enginetest"
)

// newTree makes a directory with some files and returns it.
func newTree(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return newTreeIn(t, dir, files)
}

func newTreeIn(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func someFiles() map[string]string {
	return map[string]string{"keep": "kept", "dir/seen": "seen", "dir/hidden": "hidden", "gone/x": "x"}
}

// mounted starts a container with trees, on an engine that can mount them.
func mounted(t *testing.T, e *docker.Engine, spec engine.Spec) *docker.Container {
	t.Helper()
	before := map[string]map[string]string{}
	for _, tree := range spec.Mounts.Trees {
		before[tree.Host] = enginetest.Snapshot(t, tree.Host)
	}
	t.Cleanup(func() {
		for host, was := range before {
			if diff := cmp.Diff(was, enginetest.Snapshot(t, host)); diff != "" {
				t.Errorf("%s changed: %s", host, diff)
			}
		}
	})
	if _, local := strings.CutPrefix(e.Host(), "unix://"); !local || runtime.GOOS != "linux" {
		t.Skip("the engine sees none of this machine's files")
	}
	return start(t, e, spec)
}

// seesItsTree proves that a tree made of someFiles is seen and can be changed.
func seesItsTree(t *testing.T, e *docker.Engine, what, dir string, spec engine.Spec) {
	t.Helper()
	spec.Mounts.Trees = []engine.Tree{{Host: dir, Path: "/src", Hide: []string{"dir/hidden", "gone"}}}
	c := mounted(t, e, spec)
	got := sh(t, c, "cd /src && find . | sort && cat keep && echo more >>keep && echo new >gone && echo new >dir/hidden && cat keep gone dir/hidden && mv dir away && rm -r away && ls")
	if want := ".\n./dir\n./dir/seen\n./keep\nkeptkeptmore\nnew\nnew\ngone\nkeep\n"; got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

func TestATreeMayHaveAnyName(t *testing.T) {
	t.Parallel()
	e, spec := connect(t), newSpec(t)
	names := []string{"a:b", "a,b", `a\b`, `a\`, "a b", "a ", " a", `a:b,c\d e `, "a\tb", "a\nb", `a"'$x`}
	for i, name := range names {
		dir := newTree(t, name, someFiles())
		spec.Mounts.Trees = append(spec.Mounts.Trees, engine.Tree{Host: dir, Path: fmt.Sprint("/src/", i), Hide: []string{"dir/hidden", "gone"}})
	}
	spec.Mounts.Temp = newTree(t, strings.Join(names[:8], "-"), nil)
	c := mounted(t, e, spec)
	for i, name := range names {
		got := sh(t, c, fmt.Sprintf("cd /src/%d && find . | sort && echo more >>keep && cat keep && mkdir gone", i))
		if want := ".\n./dir\n./dir/seen\n./keep\nkeptmore\n"; got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestDirectoriesOfHiddenFilesLookAsTheyAre(t *testing.T) {
	t.Parallel()
	e := connect(t)
	dir := newTree(t, "tree", map[string]string{"a/b/c/hidden": "x", "a/b/c/seen": "y", "a/shared/hidden": "x", "a/group/hidden": "x"})
	modes := map[string]os.FileMode{"a": 0o750, "a/b": 0o711, "a/b/c": 0o700, "a/shared": 0o777 | fs.ModeSticky, "a/group": 0o775 | fs.ModeSetgid}
	when := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	for name, mode := range modes {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
		_ = os.Chown(filepath.Join(dir, name), 1234, 2345) // only root may
		if err := os.Chtimes(filepath.Join(dir, name), when, when); err != nil {
			t.Fatal(err)
		}
	}
	hidden, plain := newSpec(t), newSpec(t)
	hidden.Mounts.Trees = []engine.Tree{{Host: dir, Path: "/src", Hide: []string{"a/b/c/hidden", "a/shared/hidden", "a/group/hidden"}}}
	plain.Mounts.Trees = []engine.Tree{{Host: dir, Path: "/src"}}
	stat := "cd /src && stat -c '%n %a %u %g %Y' a a/b a/b/c a/shared a/group"
	want, got := sh(t, mounted(t, e, plain), stat), sh(t, mounted(t, e, hidden), stat)
	if diff := cmp.Diff(want, got); diff != "" || !strings.Contains(want, "a/shared 1777") {
		t.Errorf("with hidden files: %s", diff)
	}
}

func TestAThousandNamesAreHidden(t *testing.T) {
	t.Parallel()
	e := connect(t)
	files, spec := map[string]string{"seen": ""}, newSpec(t)
	var hide []string
	for i := range 1000 {
		name := fmt.Sprintf("dir%d/deep/hidden %d", i%40, i)
		files[name], files[fmt.Sprintf("dir%d/seen", i%40)] = "x", "y"
		hide = append(hide, name)
	}
	spec.Mounts.Trees = []engine.Tree{{Host: newTree(t, "tree", files), Path: "/src", Hide: hide}}
	if got := sh(t, mounted(t, e, spec), "cd /src && find . -name 'hidden*' | wc -l; find . -name seen | wc -l"); strings.Join(strings.Fields(got), " ") != "0 41" {
		t.Errorf("hidden and seen: %q", got)
	}
}

func TestWhereNoTreeCanBeMountedItIsUnsupported(t *testing.T) {
	t.Parallel()
	e := connect(t)
	l := listen(t, "tcp", "127.0.0.1:0")
	forward(t, l, socket(t, e))
	far := connectTo(t, docker.Options{Host: "tcp://" + l.Addr().String()})
	dir := newTree(t, "tree", someFiles())
	if err := os.Symlink("dir", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		engine *docker.Engine
		tree   engine.Tree
	}{
		"an engine by tcp":              {far, engine.Tree{Host: dir}},
		"no such directory":             {e, engine.Tree{Host: filepath.Join(dir, "none")}},
		"a file":                        {e, engine.Tree{Host: filepath.Join(dir, "keep")}},
		"hidden in a file":              {e, engine.Tree{Host: dir, Hide: []string{"keep/x"}}},
		"hidden behind a link":          {e, engine.Tree{Host: dir, Hide: []string{"link/hidden"}}},
		"hidden in no directory":        {e, engine.Tree{Host: dir, Hide: []string{"none/x"}}},
		"a name that ends as an option": {e, engine.Tree{Host: newTree(t, "tree,ro", someFiles())}},
		"more than a page of options":   {e, engine.Tree{Host: dir + strings.Repeat("/.", 2500)}},
	} {
		spec := newSpec(t)
		c.tree.Path = "/src"
		spec.Mounts.Trees = []engine.Tree{c.tree}
		t.Run(name, func(t *testing.T) {
			if err := refused(t, c.engine, spec); !errors.Is(err, engine.ErrUnsupported) {
				t.Errorf("got %v, want ErrUnsupported", err)
			}
		})
	}
}
