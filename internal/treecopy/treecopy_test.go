package treecopy_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/internal/treecopy"
)

// entry is one entry of a stream. Its text is the contents of a file or the target of a link.
type entry struct {
	name string
	kind byte
	text string
	mode int64
}

func stream(t testing.TB, entries ...entry) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Mode: e.mode, ModTime: time.Unix(1e9, 0)}
		switch e.kind {
		case tar.TypeReg:
			h.Size = int64(len(e.text))
		default:
			h.Linkname = e.text
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if e.kind == tar.TypeReg {
			if _, err := io.WriteString(w, e.text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// tree returns the files below a directory, with their contents or targets.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(file)
			all = append(all, name+" -> "+target)
			return err
		}
		text, err := os.ReadFile(file)
		all = append(all, name+"="+string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

// write creates files below a directory.
func write(t testing.TB, dir string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		name, content, _ := strings.Cut(text, "=")
		file := filepath.Join(dir, name)
		err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644))
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestCopy_Destinations(t *testing.T) {
	t.Parallel()
	directory := []entry{{"./", tar.TypeDir, "", 0}, {"./a", tar.TypeReg, "1", 0o600}, {"./sub/b", tar.TypeReg, "2", 0}}
	file := []entry{{"app.jar", tar.TypeReg, "jar", 0}}
	for _, test := range []struct {
		name     string
		entries  []entry
		existing []string // files below the directory of the test
		to       string
		contents bool
		exact    bool
		want     string // all files afterwards; or else the error
		err      string
	}{
		{name: "file, new name", entries: file, to: "x.jar", want: "x.jar=jar"},
		{name: "file, into directory", entries: file, existing: []string{"d/y=1"}, to: "d", want: "d/name=jar d/y=1"},
		{name: "file, replaced", entries: file, existing: []string{"x=1"}, to: "x", want: "x=jar"},
		{name: "file, no directory", entries: file, to: "d/", err: "no such directory"},
		{name: "directory, new name", entries: directory, to: "new", want: "new/a=1 new/sub/b=2"},
		{name: "directory, into directory", entries: directory, existing: []string{"d/y=1"}, to: "d",
			want: "d/name/a=1 d/name/sub/b=2 d/y=1"},
		{name: "contents", entries: directory, existing: []string{"d/a=0", "d/y=1"}, to: "d", contents: true,
			want: "d/a=1 d/sub/b=2 d/y=1"},
		{name: "exact", entries: directory, existing: []string{"d/a=0", "d/y=1"}, to: "d", exact: true,
			want: "d/a=1 d/sub/b=2 d/y=1"},
		{name: "directory over file", entries: directory, existing: []string{"d=1"}, to: "d",
			err: "a directory and a file cannot replace each other"},
		{name: "file over directory", entries: directory, existing: []string{"d/a/x=1"}, to: "d", exact: true,
			err: "a directory and a file cannot replace each other"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, test.existing...)
			c := &treecopy.Copy{
				Content: stream(t, test.entries...), Name: "name", Contents: test.contents, Exact: test.exact,
				To:        filepath.Join(dir, test.to) + test.to[len(strings.TrimSuffix(test.to, "/")):],
				Overwrite: func([]treecopy.Replaced) (bool, error) { return true, nil },
			}
			err := c.Run()
			if test.err != "" {
				var target treecopy.TargetError
				if err == nil || !strings.Contains(err.Error(), test.err) || !errors.As(err, &target) {
					t.Errorf("got %v, want %q", err, test.err)
				}
				test.want = strings.Join(test.existing, " ")
			} else if err != nil {
				t.Fatal(err)
			}
			if got := tree(t, dir); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestCopy_RefusesEscapes unpacks hostile streams: nothing outside of the destination changes, and
// nothing is left.
func TestCopy_RefusesEscapes(t *testing.T) {
	t.Parallel()
	root := entry{"./", tar.TypeDir, "", 0}
	for name, entries := range map[string][]entry{
		"parent":           {root, {"../evil", tar.TypeReg, "x", 0}},
		"hidden parent":    {root, {"./a/../../evil", tar.TypeReg, "x", 0}},
		"absolute":         {root, {"/evil", tar.TypeReg, "x", 0}},
		"through link":     {root, {"./l", tar.TypeSymlink, "..", 0}, {"./l/evil", tar.TypeReg, "x", 0}},
		"through absolute": {root, {"./l", tar.TypeSymlink, "/tmp", 0}, {"./l/evil-of-treecopy", tar.TypeReg, "x", 0}},
		"over link":        {root, {"./l", tar.TypeSymlink, "../evil", 0}, {"./l", tar.TypeReg, "x", 0}},
		"hard link":        {root, {"./l", tar.TypeLink, "../../outside", 0}},
		"hard link to it":  {root, {"./s", tar.TypeSymlink, "../..", 0}, {"./l", tar.TypeLink, "s/outside", 0}},
		"empty":            {},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "outside=secret", "to/keep=1")
			c := &treecopy.Copy{
				Content: stream(t, entries...), Name: "name", To: filepath.Join(dir, "to"), Warnf: t.Logf,
				Overwrite: func([]treecopy.Replaced) (bool, error) { return true, nil },
			}
			if err := c.Run(); err == nil {
				t.Error("no error")
			}
			if got, want := tree(t, dir), "outside=secret to/keep=1"; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestCopy_AsksAboutChangedFilesOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "to/same=1", "to/changed=1")
	var asked []string
	c := &treecopy.Copy{
		Content: stream(t, entry{"./", tar.TypeDir, "", 0}, entry{"./same", tar.TypeReg, "1", 0},
			entry{"./changed", tar.TypeReg, "2", 0}, entry{"./new", tar.TypeReg, "3", 0}),
		To: filepath.Join(dir, "to"), Exact: true,
		Overwrite: func(existing []treecopy.Replaced) (bool, error) {
			for _, r := range existing {
				asked = append(asked, filepath.Base(r.File))
			}
			return false, nil
		},
	}
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(asked, []string{"changed"}) {
		t.Errorf("asked about %q", asked)
	}
	if got, want := tree(t, dir), "to/changed=1 to/same=1"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCopy_BrokenStreamChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "to/a=1")
	all, err := io.ReadAll(stream(t, entry{"./", tar.TypeDir, "", 0}, entry{"./a", tar.TypeReg, "2", 0},
		entry{"./b", tar.TypeReg, strings.Repeat("x", 4096), 0}))
	if err != nil {
		t.Fatal(err)
	}
	c := &treecopy.Copy{
		Content: bytes.NewReader(all[:3000]), To: filepath.Join(dir, "to"), Exact: true,
		Overwrite: func([]treecopy.Replaced) (bool, error) { return true, nil },
	}
	if err := c.Run(); err == nil {
		t.Error("no error")
	}
	if got := tree(t, dir); got != "to/a=1" {
		t.Errorf("got %s", got)
	}
}

func TestCopy_LeavesOutPipes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	warnings := 0
	c := &treecopy.Copy{
		Content: stream(t, entry{"./", tar.TypeDir, "", 0}, entry{"./pipe", tar.TypeFifo, "", 0},
			entry{"./link", tar.TypeSymlink, "/etc/passwd", 0}),
		To: filepath.Join(dir, "to"), Warnf: func(string, ...any) { warnings++ },
	}
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir); got != "to/link -> /etc/passwd" || warnings != 1 {
		t.Errorf("got %s, %d warnings", got, warnings)
	}
}

// TestPack_RoundTrip packs a directory and unpacks it again.
func TestPack_RoundTrip(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "to")
	write(t, from, "a=1", "sub/b=2")
	err := errors.Join(os.Symlink("../a", filepath.Join(from, "sub", "link")), os.Chmod(filepath.Join(from, "a"), 0o755))
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	if err := treecopy.Pack(&packed, from, "."); err != nil {
		t.Fatal(err)
	}
	c := &treecopy.Copy{Content: &packed, To: to}
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	if got, want := tree(t, to), tree(t, from); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if info, err := os.Stat(filepath.Join(to, "a")); err != nil || info.Mode() != 0o755 {
		t.Errorf("got %v, %v", info, err)
	}
}

// FuzzCopy unpacks any stream: nothing outside of the destination may change.
func FuzzCopy(f *testing.F) {
	for _, entries := range [][]entry{
		{{"./", tar.TypeDir, "", 0}, {"./l", tar.TypeSymlink, "..", 0}, {"./l/evil", tar.TypeReg, "x", 0}},
		{{"./", tar.TypeDir, "", 0}, {"../evil", tar.TypeReg, "x", 0}},
		{{"evil", tar.TypeReg, "x", 0}},
	} {
		text, err := io.ReadAll(stream(f, entries...))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		c := &treecopy.Copy{
			Content: bytes.NewReader(text), Name: "name", To: filepath.Join(dir, "to"), Warnf: func(string, ...any) {},
			Overwrite: func([]treecopy.Replaced) (bool, error) { return true, nil },
		}
		_ = c.Run() // most streams are not valid
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "to" {
				t.Errorf("created %s", e.Name())
			}
		}
	})
}

// TestStream_MakesFiles reads the entries of files of each type.
func TestStream_MakesFiles(t *testing.T) {
	t.Parallel()
	r := treecopy.Stream(
		treecopy.File{Name: "./", Mode: fs.ModeDir | 0o777},
		treecopy.Text("a", 0o666, "text"),
		treecopy.File{Name: "pipe", Mode: fs.ModeNamedPipe | 0o600},
		treecopy.File{Name: "program", Mode: 0o755, Size: 3, Content: strings.NewReader("ELF")},
	)
	defer r.Close()
	var got []entry
	for stream := tar.NewReader(r); ; {
		h, err := stream.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(stream)
		if err != nil || h.Uid != 0 {
			t.Errorf("%s: user %d, %v", h.Name, h.Uid, err)
		}
		got = append(got, entry{h.Name, h.Typeflag, string(text), h.Mode})
	}
	want := []entry{
		{"./", tar.TypeDir, "", 0o777}, {"a", tar.TypeReg, "text", 0o666},
		{"pipe", tar.TypeFifo, "", 0o600}, {"program", tar.TypeReg, "ELF", 0o755},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// TestStream_WrongSize gets more and less of a file than its size.
func TestStream_WrongSize(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{1, 3} {
		r := treecopy.Stream(treecopy.File{Name: "a", Size: size, Content: strings.NewReader("ab")})
		if _, err := io.Copy(io.Discard, r); err == nil {
			t.Errorf("size %d: no error", size)
		}
		r.Close()
	}
}
