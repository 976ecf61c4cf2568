package tree_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/internal/tree"
)

func TestMatch_Documented(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern   string
		yes, no   []string
		stem      string
		isLiteral bool
	}{
		{"a/b.txt", []string{"a/b.txt"}, []string{"b.txt", "a/b.txt/c"}, "a/b.txt", true},
		{"./a/../a/b", []string{"a/b"}, []string{"b"}, "a/b", true},
		{"dir/*", []string{"dir/a", "dir/.a"}, []string{"dir/a/b", "dir", "a"}, "dir", false},
		{"dir/**/*", []string{"dir/a", "dir/a/b/c", "dir/.x/y"}, []string{"other/a"}, "dir", false},
		{"**/*", []string{"a", ".a", "a/.b/c"}, nil, ".", false},
		{"**", []string{"a", "a/b"}, nil, ".", false},
		{"*.js", []string{"a.js"}, []string{"b/a.js"}, ".", false},
		{"**/*.js", []string{"a.js", "b/c/a.js"}, []string{"a.jsx"}, ".", false},
		{"a?c", []string{"abc"}, []string{"ac", "a/c"}, ".", false},
		{"[ab]/x", []string{"a/x"}, []string{"c/x"}, ".", false},
		{"{a,b}/x", []string{"a/x", "b/x"}, []string{"c/x"}, ".", false},
		{"a[b", []string{"a[b"}, []string{"ab"}, ".", false},
		{"/abs/**/*", []string{"/abs/x/y"}, []string{"abs/x"}, "/abs", false},
	}
	for _, test := range tests {
		for _, name := range test.yes {
			if !tree.Match(test.pattern, name) {
				t.Errorf("%s does not match %s", test.pattern, name)
			}
		}
		for _, name := range test.no {
			if tree.Match(test.pattern, name) {
				t.Errorf("%s matches %s", test.pattern, name)
			}
		}
		if got := tree.LiteralPrefix(test.pattern); got != test.stem || tree.IsLiteral(test.pattern) != test.isLiteral {
			t.Errorf("%s: stem %q, literal %v", test.pattern, got, tree.IsLiteral(test.pattern))
		}
	}
}

func TestLiteralPrefixes_Minimal(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ patterns, want []string }{
		{[]string{"a/*", "a/b/**/*", "c"}, []string{"a", "c"}},
		{[]string{"a/b/*", "a/*"}, []string{"a"}},
		{[]string{"a/*", "**/*"}, []string{"."}},
		{[]string{"ab/*", "a/*"}, []string{"ab", "a"}},
	} {
		if diff := cmp.Diff(test.want, tree.LiteralPrefixes(test.patterns)); diff != "" {
			t.Errorf("%v: %s", test.patterns, diff)
		}
	}
}

// files is a Source of names and contents. Contents that begin with -> are links; names
// that end in / are directories.
type files map[string]string

func (f files) CopyOut(_ context.Context, name string) (io.ReadCloser, error) {
	for range 10 {
		text, found := f[name]
		if target, link := strings.CutPrefix(text, "->"); link {
			name = path.Join(path.Dir(name), target)
			continue
		}
		if found {
			return pack([]string{path.Base(name)}, func(string) string { return text }), nil
		}
		break
	}
	names := []string{}
	for n := range f {
		if rest, below := strings.CutPrefix(n, strings.TrimSuffix(name, "/")+"/"); below {
			names = append(names, "./"+rest)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	slices.Sort(names)
	return pack(append([]string{"./"}, names...), func(n string) string { return f[name+strings.TrimPrefix(n, ".")] }), nil
}

func pack(names []string, text func(string) string) io.ReadCloser {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range names {
		h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(text(name)))}
		if target, link := strings.CutPrefix(text(name), "->"); link {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, target, 0
		}
		if strings.HasSuffix(name, "/") {
			h.Typeflag, h.Size = tar.TypeDir, 0
		}
		_ = w.WriteHeader(h)
		if h.Typeflag == 0 {
			_, _ = io.WriteString(w, text(name))
		}
	}
	_ = w.Close()
	return io.NopCloser(&b)
}

var source = files{
	"/src/dist/": "", "/src/dist/a.js": "a", "/src/dist/.hidden/b": "bb", "/src/dist/sub/a.js": "ccc",
	"/src/dist/link": "->a.js", "/src/dist/dangling": "->gone",
	"/src/dist/dirlink": "->sub", "/src/top": "top", "/src/my-dir1/": "", "/src/my-dir1/x": "1", "/src/my-dir2/": "",
	"/src/my-dir2/y": "2", "/abs/z": "z", "/src/empty/": "",
}

func TestCollect_Selection(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		selection tree.Selection
		want      string // names and contents, or the error
	}{
		"everything below": {
			tree.Selection{Files: []string{"dist/**/*"}},
			"dist/.hidden/b=bb dist/a.js=a dist/link=a dist/sub/a.js=ccc",
		},
		"one level":          {tree.Selection{Files: []string{"dist/*"}}, "dist/a.js=a dist/link=a"},
		"a base directory":   {tree.Selection{Base: "dist", Files: []string{"*.js"}}, "a.js=a"},
		"a pattern of bases": {tree.Selection{Base: "my-dir*", Files: []string{"**/*"}}, "x=1 y=2"},
		"without": {
			tree.Selection{Base: "dist", Files: []string{"**/*"}, Exclude: []string{"**/.*/**", "sub/*", "link"}},
			"a.js=a",
		},
		"paths discarded": {tree.Selection{Files: []string{"dist/**/*.js", "top"}, Discard: true}, "a.js=ccc top=top"},
		"links kept": {
			tree.Selection{Base: "dist", Files: []string{"*"}, Symlinks: true},
			"a.js=a dangling->gone dirlink->sub link->a.js",
		},
		"one is missing":     {tree.Selection{Files: []string{"top", "nope", "nope/*"}}, "top=top"},
		"an absolute base":   {tree.Selection{Base: "/abs", Files: []string{"z"}}, "z=z"},
		"an absolute name":   {tree.Selection{Files: []string{"/src/dist/a.js"}}, "dist/a.js=a"},
		"a link by name":     {tree.Selection{Files: []string{"dist/link"}}, "dist/link=a"},
		"a directory":        {tree.Selection{Files: []string{"dist"}}, "no matching artifact paths found"},
		"nothing":            {tree.Selection{Files: []string{"*.zip"}}, "no matching artifact paths found"},
		"an empty directory": {tree.Selection{Files: []string{"empty/**/*"}}, "no matching artifact paths found"},
		"no base": {
			tree.Selection{Base: "gone", Files: []string{"*"}},
			"no matching base directory path found for gone",
		},
		"no base matches": {
			tree.Selection{Base: "x*", Files: []string{"*"}},
			"no matching base directory path found for x*",
		},
		"a file as base": {
			tree.Selection{Base: "top", Files: []string{"*"}},
			"no matching base directory path found for top",
		},
	}
	for name, test := range tests {
		dest := t.TempDir()
		test.selection.Root = "/src"
		_, err := tree.Collect(t.Context(), source, test.selection, dest, tree.Observer{Say: func(string, ...any) {}})
		got := list(t, dest)
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, test.want)
		}
	}
}

// list returns the files below dir with their contents.
func list(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, name)
		switch {
		case err != nil || d.IsDir():
			return err
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			all = append(all, rel+"->"+target)
			return err
		}
		text, err := os.ReadFile(name)
		all = append(all, rel+"="+string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func TestCollect_ObserverLines(t *testing.T) {
	t.Parallel()
	var lines []string
	s := tree.Selection{Root: "/src", Base: "my-dir*", Files: []string{"x", "y", "nope", "*.z"}}
	if _, err := tree.Collect(t.Context(), source, s, t.TempDir(),
		tree.Observer{Say: func(f string, args ...any) { lines = append(lines, fmt.Sprintf(f, args...)) }}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Expanding base directory path: my-dir*", "Assembling file list", "Expanding my-dir*",
		"Expanding file paths for base " +
			"directory my-dir1", "Assembling file list", "Expanding x", "Expanding y", "Expanding nope", "Expanding *.z",
		"Expanding file paths for base " +
			"directory my-dir2", "Assembling file list", "Expanding x", "Expanding y", "Expanding nope", "Expanding *.z",
		"Skipping invalid file path nope", "Found 2 file(s)",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
}

// evil is a Source whose names try to leave the destination.
type evil struct{ headers []tar.Header }

func (e evil) CopyOut(context.Context, string) (io.ReadCloser, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755})
	for _, h := range e.headers {
		_ = w.WriteHeader(&h)
		_, _ = io.WriteString(w, strings.Repeat("x", int(h.Size)))
	}
	_ = w.Close()
	return io.NopCloser(&b), nil
}

func TestCollect_RefusesEscapes(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	for _, headers := range [][]tar.Header{
		{{Name: "../../escape", Mode: 0o644, Size: 1}},
		{{Name: "link", Typeflag: tar.TypeSymlink, Linkname: outside}, {Name: "link/file", Mode: 0o644, Size: 1}},
		{{Name: outside + "/abs", Mode: 0o644, Size: 1}},
		{{Name: "hard", Typeflag: tar.TypeLink, Linkname: "../../etc/passwd"}},
	} {
		dest := filepath.Join(t.TempDir(), "a", "b")
		if err := os.MkdirAll(dest, 0o755); err != nil {
			t.Fatal(err)
		}
		_, _ = tree.Collect(
			t.Context(),
			evil{headers},
			tree.Selection{Root: "/", Files: []string{"**", "../../*"}, Symlinks: true},
			dest,
			tree.Observer{Say: func(string, ...any) {}},
		)
		if got := list(t, outside); got != "" {
			t.Errorf("%v: written outside: %s", headers, got)
		}
		if _, err := os.Lstat(filepath.Join(dest, "../../escape")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: written above the destination", headers)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("dir/**/*", "dir/a")
	f.Add("[", "[")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		matches := tree.Match(pattern, name)
		stem := tree.LiteralPrefix(pattern)
		clean := path.Clean(name) == name && name != "." && !strings.HasPrefix(name, "../")
		if matches && clean && stem != "." && name != stem && !strings.HasPrefix(name, strings.TrimSuffix(stem, "/")+"/") {
			t.Errorf("%q matches %q, which is not below %q", pattern, name, stem)
		}
	})
}

// A case-insensitive file system has the other file already.
func TestCollect_CaseInsensitiveHost(t *testing.T) {
	dest := t.TempDir()
	if err := os.WriteFile(filepath.Join(dest, "a"), []byte("as A was written"), 0o644); err != nil {
		t.Fatal(err)
	}
	src := files{"/src/a": "a"}
	_, err := tree.Collect(
		t.Context(),
		src,
		tree.Selection{Root: "/src", Files: []string{"**/*"}},
		dest,
		tree.Observer{Say: func(string, ...any) {}},
	)
	if err == nil || !strings.Contains(err.Error(), "write a: another file has the same name but for capital letters") {
		t.Errorf("got %v", err)
	}
}

// layers are several directories, each with the files of one stream.
type layers map[string][]string

// CopyOut implements tree.Source. A name with > is a hard link, and the content of a file is its path.
func (l layers) CopyOut(_ context.Context, place string) (io.ReadCloser, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	names, isDir := l[place]
	if isDir {
		_ = w.WriteHeader(&tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755})
	} else {
		names = []string{path.Base(place)}
	}
	for _, name := range names {
		name, link, linked := strings.Cut(name, ">")
		if linked && isDir {
			_ = w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: link})
			continue
		}
		text := path.Join(place, name)
		if !isDir {
			text = place
		}
		_ = w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))})
		_, _ = io.WriteString(w, text)
	}
	return io.NopCloser(&out), w.Close()
}

func TestCollect_NamesWithoutParents(t *testing.T) {
	t.Parallel()
	source := layers{
		"/o":     {"x", "dir/y", "src/x", "src/sub/x"},
		"/o/src": {"x", "dir", "h>x", "sub/x"}, "/o/src/sub": {"x"},
	}
	for _, test := range []struct {
		base  string
		files []string
		want  map[string]string // content by name
	}{
		{"", []string{"x", "../x"}, map[string]string{"x": "/o/x"}},
		{"", []string{"../x", "x"}, map[string]string{"x": "/o/src/x"}},
		{"sub", []string{"x", "../../x"}, map[string]string{"x": "/o/x"}},
		{"..", []string{"x"}, map[string]string{"x": "/o/x"}},
		{"", []string{"dir", "../dir/y"}, map[string]string{"dir/y": "/o/dir/y"}},
		{"", []string{"../dir/y", "dir"}, map[string]string{"dir": "/o/src/dir"}},
		{"", []string{"../x", "[h]"}, map[string]string{"x": "/o/x", "h": "/o/src/h"}},
		{"", []string{"../{x,dir/y}"}, map[string]string{"x": "/o/x", "dir/y": "/o/dir/y"}},
	} {
		dest := t.TempDir()
		files, err := tree.Collect(t.Context(), source, tree.Selection{Root: "/o/src", Base: test.base, Files: test.files},
			dest, tree.Observer{Say: func(string, ...any) {}})
		if err != nil {
			t.Errorf("%s %v: %v", test.base, test.files, err)
		}
		got := map[string]string{}
		for _, f := range files {
			text, err := os.ReadFile(filepath.Join(dest, f.Path))
			if err != nil {
				t.Error(err)
			}
			got[f.Path] = string(text)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s %v: %s", test.base, test.files, diff)
		}
	}
}
