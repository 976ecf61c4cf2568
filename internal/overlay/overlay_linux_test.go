package overlay_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/internal/overlay"
)

// modified is a time that no file of a test gets by itself.
var modified = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// layer creates a directory with files. A name that ends with a slash is a directory, and
// one with an arrow a link.
func layer(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		link, target, isLink := strings.Cut(name, " -> ")
		file := filepath.Join(dir, link)
		err := os.MkdirAll(filepath.Dir(file), 0o755)
		switch {
		case isLink:
			err = errors.Join(err, os.Symlink(target, file))
		case strings.HasSuffix(name, "/"):
			err = errors.Join(err, os.MkdirAll(file, 0o755))
		default:
			err = errors.Join(err, os.WriteFile(file, []byte("text"), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// hide calls Hide. It skips the test if the user may not create whiteouts, which older
// kernels allow only to root.
func hide(t *testing.T, dir, lower string, names ...string) error {
	t.Helper()
	err := overlay.Hide(dir, lower, names, true)
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		t.Skip(err)
	}
	return err
}

func TestPut_TextOrFile(t *testing.T) {
	t.Parallel()
	lower, dir := layer(t, "a/b/old"), t.TempDir()
	kept := filepath.Join(t.TempDir(), "object")
	err := errors.Join(os.WriteFile(kept, []byte("large"), 0o600),
		os.Chmod(filepath.Join(lower, "a"), 0o750), os.Chtimes(filepath.Join(lower, "a"), modified, modified))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []overlay.File{
		{Name: "a/b/old", Text: []byte("small"), Mode: 0o644}, {Name: "a/new", File: kept, Mode: 0o755},
	} {
		if err := overlay.Put(dir, lower, f, true); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, f.Name))
		want := string(f.Text)
		if f.File != "" {
			want = "large"
		}
		info, statErr := os.Stat(filepath.Join(dir, f.Name))
		if err != nil || statErr != nil || string(got) != want || info.Mode() != f.Mode {
			t.Errorf("%s: %q, %v, %v", f.Name, got, info, errors.Join(err, statErr))
		}
	}
	info, err := os.Stat(filepath.Join(dir, "a"))
	if err != nil || info.Mode().Perm() != 0o750 || !info.ModTime().Equal(modified) {
		t.Errorf("the directory has %v, %v", info, err)
	}
}

func TestHide_Whiteouts(t *testing.T) {
	t.Parallel()
	lower, dir := layer(t, "top", "a/b/hidden/x", "a/kept"), t.TempDir()
	names := []string{"top", "a/b/hidden"}
	for range 2 { // an existing whiteout is kept
		if err := hide(t, dir, lower, names...); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		var stat unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, name), &stat); err != nil {
			t.Fatal(err)
		}
		if stat.Mode&unix.S_IFMT != unix.S_IFCHR || stat.Rdev != 0 {
			t.Errorf("%s: mode %o, device %d; want a character device 0/0", name, stat.Mode, stat.Rdev)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "a/kept")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not hidden is in the layer: %v", err)
	}
}

func TestHide_CopiesMetadataOfParents(t *testing.T) {
	t.Parallel()
	lower, dir := layer(t, "a/b/hidden"), t.TempDir()
	for name, mode := range map[string]fs.FileMode{"a/b": 0o711, "a": 0o750 | fs.ModeSetgid, ".": 0o755} {
		file := filepath.Join(lower, name)
		if err := errors.Join(os.Chmod(file, mode), os.Chtimes(file, modified, modified)); err != nil {
			t.Fatal(err)
		}
	}
	if err := hide(t, dir, lower, "a/b/hidden"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a/b", "a", "."} {
		want, err := os.Stat(filepath.Join(lower, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got.Mode() != want.Mode() || !got.ModTime().Equal(modified) {
			t.Errorf("%s: got %v %v, want %v %v", name, got.Mode(), got.ModTime(), want.Mode(), modified)
		}
	}
}

func TestHide_LowerIsALink(t *testing.T) {
	t.Parallel()
	lower := layer(t, "tree/hidden", "link -> tree")
	if err := hide(t, t.TempDir(), filepath.Join(lower, "link"), "hidden"); err != nil {
		t.Error(err)
	}
}

func TestHide_ParentMustBeADirectory(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, lower string }{
		{"missing/hidden", "other"},
		{"file/hidden", "file"},
		{"link/hidden", "link -> /"}, // the layer would show a directory in its place
	} {
		if err := hide(t, t.TempDir(), layer(t, test.lower), test.name); err == nil {
			t.Errorf("%s: no error", test.name)
		}
	}
}

// mark sets an extended attribute of an overlay without root, or skips the test if the
// file system has none.
func mark(t *testing.T, dir, name, attribute string) {
	t.Helper()
	err := unix.Setxattr(filepath.Join(dir, name), "user.overlay."+attribute, []byte("y"), 0)
	if errors.Is(err, unix.ENOTSUP) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestWritten_WholeRegularFilesOnly(t *testing.T) {
	t.Parallel()
	upper := layer(t, "file", "dir/file", "link -> file", "metacopy")
	for name, want := range map[string]bool{
		"file": true, "dir/file": true, "dir": false, "link": false, "missing": false, "file/below": false,
	} {
		if got := overlay.Written(upper, name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	mark(t, upper, "metacopy", "metacopy")
	if overlay.Written(upper, "metacopy") {
		t.Error("a file without its content is reported as written")
	}
}

func TestUntouched_MissingInUpperLayer(t *testing.T) {
	t.Parallel()
	upper := layer(t, "changed/file", "empty/", "link -> /", "file")
	for name, want := range map[string]bool{
		"other":         true,
		"other/below":   true,
		"empty/below":   true, // only beside it has anything changed
		"changed/other": true,
		"changed/file":  false,
		"changed":       false,
		"empty":         false,
		"link":          false,
		"link/below":    false, // a link replaced the directory
		"file/below":    false, // a file replaced the directory
	} {
		if got := overlay.Untouched(upper, name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if overlay.Untouched(filepath.Join(upper, "no-layer"), "other") {
		t.Error("a layer that cannot be read is reported as untouched")
	}
}

func TestUntouched_WhiteoutHides(t *testing.T) {
	t.Parallel()
	upper := t.TempDir()
	if err := hide(t, upper, layer(t, "a/hidden/x"), "a/hidden"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"a/hidden": false, "a/hidden/x": false, "a/other": true} {
		if got := overlay.Untouched(upper, name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestUntouched_OpaqueOrRenamedDirectory(t *testing.T) {
	t.Parallel()
	for _, attribute := range []string{"opaque", "redirect"} {
		upper := layer(t, "dir/", "beside/")
		mark(t, upper, "dir", attribute)
		if overlay.Untouched(upper, "dir/below") {
			t.Errorf("%s: a hidden name is reported as untouched", attribute)
		}
		if !overlay.Untouched(upper, "beside/below") {
			t.Errorf("%s: a name in another directory is reported as changed", attribute)
		}
	}
}

func TestMayHave_NeverMissesFile(t *testing.T) {
	t.Parallel()
	isXML := func(name string) bool { return strings.HasSuffix(name, ".xml") }
	for _, c := range []struct {
		files []string // of the upper layer
		name  string
		want  bool
	}{
		{nil, ".", false},
		{[]string{"a/b.txt"}, ".", false},
		{[]string{"a/b.xml"}, ".", true},
		{[]string{"a/b.xml"}, "a", true},
		{[]string{"a/b.xml"}, "c", false}, // nothing was written there
		{[]string{"a.xml/b"}, ".", false}, // a directory
	} {
		upper := t.TempDir()
		for _, name := range c.files {
			file := filepath.Join(upper, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, nil, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		if got := overlay.MayHave(upper, c.name, isXML); got != c.want {
			t.Errorf("%q below %s: %v, want %v", c.files, c.name, got, c.want)
		}
	}
	if !overlay.MayHave(filepath.Join(t.TempDir(), "missing"), ".", isXML) {
		t.Error("a missing layer has no file; want true")
	}
}

func TestMayHave_RenamedDirectory(t *testing.T) {
	t.Parallel()
	upper := t.TempDir()
	dir := filepath.Join(upper, "moved")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Lsetxattr(dir, "user.overlay.redirect", []byte("old"), 0); err != nil {
		t.Skipf("the file system has no attributes: %v", err)
	}
	if !overlay.MayHave(upper, ".", func(string) bool { return false }) {
		t.Error("the files of a renamed directory are in a lower layer; want true")
	}
}
