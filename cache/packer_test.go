package cache

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/engine"
)

const (
	testSource = "/codebuild/output/src1/src"
	testMark   = "/codebuild/output/tmp/cache"
)

// fakeContainer has regular files by absolute path. Files in changed are newer than the
// mark.
type fakeContainer struct {
	files   map[string]string
	changed []string
	noList  bool
	gnuTar  bool
	single  int // number of CopyOut calls for a file
}

func (c *fakeContainer) Exec(_ context.Context, p engine.Process) (int, error) {
	if p.Stdin != nil {
		if !c.gnuTar {
			return 1, nil
		}
		names, err := io.ReadAll(p.Stdin)
		w := tar.NewWriter(p.Stdout)
		for _, name := range strings.Split(strings.TrimSuffix(string(names), "\x00"), "\x00") {
			err = errors.Join(err, c.write(w, name, path.Join("/", name)))
		}
		return 0, errors.Join(err, w.Close())
	}
	if c.noList {
		return 9, nil
	}
	fmt.Fprintf(p.Stdout, "gnu\nf 644 0 0 0 1.0 10.0 1 %s\x00\x00", testMark)
	for _, dir := range []string{testSource, testSource + "/deps"} {
		fmt.Fprintf(p.Stdout, "d 755 0 0 4096 1.0 2.0 2 %s\x00\x00", dir)
	}
	for name, text := range c.files {
		status := "5.0"
		if slices.Contains(c.changed, name) {
			status = "11.0"
		}
		fmt.Fprintf(p.Stdout, "f 644 0 0 %d 1.0 %s 1 %s\x00\x00", len(text), status, name)
	}
	_, err := io.WriteString(p.Stdout, "end\n")
	return 0, err
}

func (c *fakeContainer) write(w *tar.Writer, name, file string) error {
	text := c.files[file]
	h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text)), ModTime: time.Unix(1, 0)}
	err := w.WriteHeader(h)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	return err
}

func (c *fakeContainer) CopyOut(_ context.Context, file string) (io.ReadCloser, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if _, found := c.files[file]; found {
		c.single++
		return io.NopCloser(&b), errors.Join(c.write(w, path.Base(file), file), w.Close())
	}
	err := w.WriteHeader(&tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755})
	for name := range c.files {
		if rest, below := strings.CutPrefix(name, file+"/"); below {
			err = errors.Join(err, c.write(w, "./"+rest, name))
		}
	}
	return io.NopCloser(&b), errors.Join(err, w.Close())
}

// packed returns the sorted names and texts of the stream of a Packer.
func packed(t *testing.T, p *Packer) []string {
	t.Helper()
	var b bytes.Buffer
	if err := p.Pack(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	var all []string
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if err == io.EOF {
			slices.Sort(all)
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r)
		all = append(all, strings.TrimSpace(h.Name+" "+string(text)))
	}
}

func newPacker(t *testing.T, c *fakeContainer, base *Entry) *Packer {
	t.Helper()
	paths := Paths{Source: testSource, Patterns: []string{"src/deps/**/*"}}
	p, err := NewPacker(t.Context(), c, paths, testMark, base)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func baseEntry(sizes map[string]int) *Entry {
	e := &Entry{list: []File{
		{Name: "src", Kind: tar.TypeDir, Mode: 0o755}, {Name: "src/deps", Kind: tar.TypeDir, Mode: 0o755},
	}}
	for name, size := range sizes {
		e.list = append(e.list, File{Name: name, Kind: tar.TypeReg, Mode: 0o644, Size: int64(size), Time: 1e9})
	}
	return e
}

func TestPacker_PacksInEachWay(t *testing.T) {
	t.Parallel()
	files := map[string]string{testSource + "/deps/a": "1", testSource + "/deps/b": "22", testSource + "/other": "3"}
	want := []string{"src", "src/deps", "src/deps/a 1", "src/deps/b 22"}
	for name, c := range map[string]*fakeContainer{
		"GNU tar": {files: files, gnuTar: true}, "one by one": {files: files}, "no list": {files: files, noList: true},
	} {
		p := newPacker(t, c, nil)
		got := packed(t, p)
		if name == "no list" { // without a list there are no parents
			got = append([]string{"src"}, got...)
			got = slices.Insert(slices.DeleteFunc(got, func(s string) bool { return s == "src/deps" }), 1, "src/deps")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if p.Listed() == (name == "no list") || (c.single > 0) != (name == "one by one") {
			t.Errorf("%s: listed %v, %d files fetched alone", name, p.Listed(), c.single)
		}
	}
	many := map[string]string{}
	for i := range maxSingleFetches + 1 {
		many[fmt.Sprintf("%s/deps/%d", testSource, i)] = "x"
	}
	c := &fakeContainer{files: many}
	if got := packed(t, newPacker(t, c, nil)); len(got) != len(many)+2 || c.single != 0 {
		t.Errorf("%d files packed, %d of them alone", len(got), c.single)
	}
}

func TestPacker_KeepsUnchanged(t *testing.T) {
	t.Parallel()
	a, b := testSource+"/deps/a", testSource+"/deps/b"
	both := map[string]int{"src/deps/a": 1, "src/deps/b": 2}
	three := map[string]int{"src/deps/a": 1, "src/deps/b": 2, "src/deps/c": 3}
	for name, test := range map[string]struct {
		base      map[string]int
		changed   []string
		kept      []string
		unchanged bool
	}{
		"same":     {base: both, kept: []string{"src/deps/a", "src/deps/b"}, unchanged: true},
		"written":  {base: both, changed: []string{b}, kept: []string{"src/deps/a"}},
		"new size": {base: map[string]int{"src/deps/a": 1, "src/deps/b": 9}, kept: []string{"src/deps/a"}},
		"new file": {base: map[string]int{"src/deps/a": 1}, kept: []string{"src/deps/a"}},
		"removed":  {base: three, kept: []string{"src/deps/a", "src/deps/b"}},
	} {
		c := &fakeContainer{files: map[string]string{a: "1", b: "22"}, changed: test.changed}
		p := newPacker(t, c, baseEntry(test.base))
		kept := slices.Sorted(slices.Values(p.Kept()))
		if !slices.Equal(kept, test.kept) || p.Unchanged(nil) != test.unchanged || p.Empty() {
			t.Errorf("%s: kept %q, unchanged %v", name, kept, p.Unchanged(nil))
		}
	}
}

func TestPacker_UnchangedCopy(t *testing.T) {
	t.Parallel()
	a := testSource + "/deps/a"
	copied := []File{{Name: a, Kind: tar.TypeReg, Mode: 0o644, Size: 1, Time: 1e9}}
	for name, test := range map[string]struct {
		container fakeContainer
		want      bool
	}{
		"same":    {fakeContainer{files: map[string]string{a: "1"}}, true},
		"written": {fakeContainer{files: map[string]string{a: "1"}, changed: []string{a}}, false},
		"more":    {fakeContainer{files: map[string]string{a: "1", testSource + "/deps/b": ""}}, false},
		"removed": {fakeContainer{}, false},
		"no list": {fakeContainer{noList: true}, false},
	} {
		p := newPacker(t, &test.container, nil)
		if got := p.Unchanged(copied); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestPacker_TakeLocal(t *testing.T) {
	t.Parallel()
	a, b := testSource+"/deps/a", testSource+"/deps/b"
	p := newPacker(t, &fakeContainer{files: map[string]string{a: "1", b: "22"}}, nil)
	local := p.TakeLocal(t.Context(), func(file string) (string, string) {
		if file == a {
			return "/upper", "deps/a"
		}
		return "", ""
	})
	if len(local) != 1 || local[0].Dir != "/upper" || local[0].At != "deps/a" || local[0].Name != "src/deps/a" {
		t.Errorf("got %+v", local)
	}
	if got := packed(t, p); slices.Contains(got, "src/deps/a 1") || !slices.Contains(got, "src/deps/b 22") {
		t.Errorf("packed %q", got)
	}
	p.Reset()
	if got := packed(t, p); !slices.Contains(got, "src/deps/a 1") {
		t.Errorf("packed %q after Reset", got)
	}
}

func TestExtraction_SkipsOtherPaths(t *testing.T) {
	t.Parallel()
	var in, out bytes.Buffer
	w := tar.NewWriter(&in)
	for _, h := range []tar.Header{
		{Name: "src", Typeflag: tar.TypeDir}, {Name: "src/deps", Typeflag: tar.TypeDir},
		{Name: "src/deps/a", Typeflag: tar.TypeReg}, {Name: "src/deps/mounted", Typeflag: tar.TypeReg},
		{Name: "src/deps/hard", Typeflag: tar.TypeLink, Linkname: "src/deps/a"},
		{Name: "src/deps/dangling", Typeflag: tar.TypeLink, Linkname: "src/deps/mounted"},
		{Name: "root/etc/passwd", Typeflag: tar.TypeReg},
	} {
		h.Mode, h.Format = 0o755, tar.FormatPAX
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var events []string
	x := &Extraction{
		Paths:          Paths{Source: testSource, Patterns: []string{"src/deps/**/*"}},
		Mounted:        func(name string) bool { return name == "src/deps/mounted" },
		OnOutside:      func(file string) { events = append(events, "outside "+file) },
		OnDanglingLink: func(file string) { events = append(events, "dangling "+file) },
	}
	if err := x.Convert(&in, &out); err != nil {
		t.Fatal(err)
	}
	const dir = "codebuild/output/src1/src/deps"
	var names []string
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		names = append(names, strings.TrimSpace(path.Clean(h.Name)+" "+h.Linkname))
	}
	if diff := cmp.Diff([]string{dir, dir + "/a", dir + "/hard " + dir + "/a"}, names); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"dangling /" + dir + "/dangling", "outside /etc/passwd"}, events); diff != "" {
		t.Error(diff)
	}
	if len(x.Copied) != 2 || x.Copied[0].Name != "/"+dir+"/a" {
		t.Errorf("copied %+v", x.Copied)
	}
}
