package source

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// unpack returns one line for each entry of a tar stream, in its order.
func unpack(t *testing.T, stream io.Reader) []string {
	t.Helper()
	var entries []string
	r := tar.NewReader(stream)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return entries
		}
		must(t, err)
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" {
			t.Errorf("%s belongs to %d:%d %s:%s", h.Name, h.Uid, h.Gid, h.Uname, h.Gname)
		}
		if h.Typeflag == tar.TypeSymlink {
			h.Mode = 0o777 // which is not so everywhere
		}
		text, err := io.ReadAll(r)
		must(t, err)
		entries = append(entries, fmt.Sprintf("%c %04o %s %s%s", h.Typeflag, h.Mode, h.Name, h.Linkname, text))
	}
}

func pack(t *testing.T, s *Source, prefix string) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	must(t, s.Tar(&b, prefix))
	return &b
}

func TestTar_EveryKindOfFile(t *testing.T) {
	t.Parallel()
	dir := temp(t)
	long := strings.Repeat("d", 200) + "/" + strings.Repeat("f", 100)
	write(t, dir, map[string]string{
		"a": "text", "run": "x", "setuid": "s", "empty-dir/": "", "sticky/": "", long: "long", "empty": "",
		" odd\n\"name\" ": "", "-n": "", "日本": "", "\xff": "",
	})
	for name, mode := range map[string]fs.FileMode{
		"run": 0o755, "setuid": 0o711 | fs.ModeSetuid | fs.ModeSetgid, "sticky": 0o777 | fs.ModeSticky, "empty": 0o600,
	} {
		must(t, os.Chmod(filepath.Join(dir, name), mode))
	}
	must(t, os.Symlink("a", filepath.Join(dir, "link")))
	must(t, os.Symlink("empty-dir", filepath.Join(dir, "linked-dir")))
	must(t, os.Symlink("/nowhere/"+long, filepath.Join(dir, "dangling")))
	must(t, os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "hard")))

	same(t, unpack(t, pack(t, &Source{Dir: dir}, "")), []string{
		"0 0644  odd\n\"name\"  ",
		"0 0644 -n ",
		"0 0644 a text",
		"2 0777 dangling /nowhere/" + long,
		"5 0755 " + strings.Repeat("d", 200) + "/ ",
		"0 0644 " + long + " long",
		"0 0600 empty ",
		"5 0755 empty-dir/ ",
		"0 0644 hard text",
		"2 0777 link a",
		"2 0777 linked-dir empty-dir",
		"0 0755 run x",
		"0 6711 setuid s",
		"5 1777 sticky/ ",
		"0 0644 日本 ",
		"0 0644 \xff ",
	})
}

func TestTar_Prefix(t *testing.T) {
	t.Parallel()
	dir := temp(t)
	must(t, os.Chmod(dir, 0o750))
	write(t, dir, map[string]string{"sub/a": "a"})
	for _, prefix := range []string{"codebuild/src", "/codebuild/src/"} {
		same(t, unpack(t, pack(t, &Source{Dir: dir}, prefix)), []string{
			"5 0750 codebuild/src/ ", "5 0755 codebuild/src/sub/ ", "0 0644 codebuild/src/sub/a a",
		})
	}
	same(t, unpack(t, pack(t, &Source{Dir: temp(t)}, "")), nil)
}

func TestTar_LeavesOutHidden(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{".gitignore": "*.log\nnode_modules\n", "sub/a": ""})
	write(t, dir, map[string]string{"x.log": "", "sub/node_modules/p": "", "new/x.log": "", "new/y": "",
		".buildlocal/x": ""})
	must(t, os.RemoveAll(filepath.Join(dir, ".git", "hooks")))
	var got []string
	for _, line := range unpack(t, pack(t, mustOpen(t, Options{Dir: dir, Exclude: []string{".buildlocal"}}), "")) {
		if !strings.Contains(line, ".git/") {
			got = append(got, strings.Fields(line)[2])
		}
	}
	same(t, got, []string{".gitignore", "new/", "new/y", "sub/", "sub/a"})
}

func TestTar_NanosecondTimes(t *testing.T) {
	t.Parallel()
	dir := temp(t)
	write(t, dir, map[string]string{"a": "", "b": ""})
	want := map[string]time.Time{"a": time.Unix(1700000000, 123456789), "b": time.Unix(0, 0)}
	for name, at := range want {
		must(t, os.Chtimes(filepath.Join(dir, name), time.Unix(5, 0), at))
	}
	r := tar.NewReader(pack(t, &Source{Dir: dir}, ""))
	for range want {
		h, err := r.Next()
		must(t, err)
		if !h.ModTime.Equal(want[h.Name]) {
			t.Errorf("%s: got %v, want %v", h.Name, h.ModTime, want[h.Name])
		}
		if !h.AccessTime.IsZero() || !h.ChangeTime.IsZero() {
			t.Errorf("%s has further times", h.Name)
		}
	}
}

// meanwhile is a writer that changes something when the first bytes come.
type meanwhile struct {
	bytes.Buffer
	change func()
}

func (m *meanwhile) Write(b []byte) (int, error) {
	if m.change != nil {
		m.change()
		m.change = nil
	}
	return m.Buffer.Write(b)
}

func TestTar_VanishingFiles(t *testing.T) {
	t.Parallel()
	dir := temp(t)
	write(t, dir, map[string]string{"a": strings.Repeat("x", 1<<20), "b": "", "c/d/e": "", "f": "", "g": ""})
	must(t, os.Symlink("f", filepath.Join(dir, "e")))
	w := &meanwhile{change: func() {
		for _, name := range []string{"b", "c", "e", "f"} {
			must(t, os.RemoveAll(filepath.Join(dir, name)))
		}
		write(t, dir, map[string]string{"f/now-a-directory": ""})
	}}
	must(t, (&Source{Dir: dir}).Tar(w, ""))
	var got []string
	for _, line := range unpack(t, w) {
		got = append(got, strings.Fields(line)[2])
	}
	same(t, got, []string{"a", "g"})
}

func TestTar_VanishingDirectory(t *testing.T) {
	t.Parallel()
	dir := temp(t)
	write(t, dir, map[string]string{"a/a": strings.Repeat("x", 1<<20), "a/b/c": "", "a/d": ""})
	w := &meanwhile{change: func() {
		must(t, os.RemoveAll(filepath.Join(dir, "a")))
		write(t, dir, map[string]string{"a": "a file now"})
	}}
	must(t, (&Source{Dir: dir}).Tar(w, ""))
	same(t, len(unpack(t, w)), 2)
}

func TestTar_ChangingSizes(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	for name, c := range map[string]struct {
		to   int64
		last byte
	}{
		"shrinks": {10, 0},
		"emptied": {0, 0},
		"grows":   {2 * size, 'x'},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := temp(t)
			write(t, dir, map[string]string{"a": strings.Repeat("x", size), "b": "after"})
			w := &meanwhile{change: func() { must(t, os.Truncate(filepath.Join(dir, "a"), c.to)) }}
			must(t, (&Source{Dir: dir}).Tar(w, ""))
			got := unpack(t, w)
			same(t, got[1], "0 0644 b after")
			text := strings.TrimPrefix(got[0], "0 0644 a ")
			same(t, len(text), size)
			same(t, text[size-1], c.last)
		})
	}
}

func TestTar_WriterError(t *testing.T) {
	t.Parallel()
	dir := temp(t)
	write(t, dir, map[string]string{"a": "a"})
	r, w := io.Pipe()
	cause := errors.New("no space left")
	r.CloseWithError(cause)
	if err := (&Source{Dir: dir}).Tar(w, ""); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	if err := (&Source{Dir: filepath.Join(dir, "gone")}).Tar(w, ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
