package enginetest

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// entries is a tree with every kind of file that builds create. The names have the characters that
// shells, tar implementations and Windows treat specially; one is longer than the 100 bytes of the
// original tar format.
func entries() []tar.Header {
	long := strings.Repeat("long/", 50) + "name"
	return []tar.Header{
		{Name: "dir/", Typeflag: tar.TypeDir, Mode: 0o750},
		{Name: "dir/empty/", Typeflag: tar.TypeDir, Mode: 0o700},
		{Name: "dir/file", Typeflag: tar.TypeReg, Mode: 0o640, Size: 4},
		{Name: "dir/run", Typeflag: tar.TypeReg, Mode: 0o755, Size: 4},
		{Name: "dir/link", Typeflag: tar.TypeSymlink, Linkname: "file", Mode: 0o777},
		// Links are not followed, so their targets need not exist.
		{Name: "dir/dangling", Typeflag: tar.TypeSymlink, Linkname: "/no/such", Mode: 0o777},
		{Name: "dir/ü \n'\"x", Typeflag: tar.TypeReg, Mode: 0o600, Size: 4},
		{Name: ".hidden", Typeflag: tar.TypeReg, Mode: 0o644, Size: 4},
		{Name: "-dash", Typeflag: tar.TypeReg, Mode: 0o644, Size: 4},
		{Name: long, Typeflag: tar.TypeReg, Mode: 0o644, Size: 4},
	}
}

// modified is in the past and not a whole day, so that neither the current time nor a time without
// its clock passes.
var modified = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// pack returns a tar stream with entries. Regular files contain "text".
func pack(t *testing.T, headers []tar.Header) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		// PAX has room for long names and for times below a second.
		h.ModTime, h.Format = modified, tar.FormatPAX
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			_, _ = w.Write([]byte("text"))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// unpack returns a line for each entry.
func unpack(t *testing.T, stream io.ReadCloser) map[string]string {
	t.Helper()
	defer stream.Close()
	got := map[string]string{}
	r := tar.NewReader(stream)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		// Owner and group are not compared: a rootless engine maps them.
		text, _ := io.ReadAll(r)
		got[strings.TrimPrefix(h.Name, "./")] = fmt.Sprintf(
			"%c %o %s %s %d",
			h.Typeflag,
			fs.FileMode(h.Mode).Perm(),
			h.Linkname,
			text,
			h.ModTime.Unix(),
		)
	}
}

// copies checks that types, modes, links, contents and times survive, that CopyIn creates missing
// parents, and that CopyOut follows a link in the path.
func (s Suite) copies(t *testing.T) {
	c := s.start(t, s.spec(t))
	if err := c.CopyIn(t.Context(), "/new/place", pack(t, entries())); err != nil {
		t.Fatal(err)
	}
	stream, err := c.CopyOut(t.Context(), "/new/place")
	if err != nil {
		t.Fatal(err)
	}
	// Times are compared in seconds, because engines differ in their resolution.
	got := unpack(t, stream)
	for _, h := range entries() {
		text := map[bool]string{true: "text"}[h.Typeflag == tar.TypeReg]
		want := fmt.Sprintf("%c %o %s %s %d", h.Typeflag, h.Mode, h.Linkname, text, modified.Unix())
		if got[h.Name] != want {
			t.Errorf("%q: got %q, want %q", h.Name, got[h.Name], want)
		}
	}
	// A link to a directory occurs in artifacts such as dist -> build/output.
	sh(t, c, "ln -s /new/place /alias")
	stream, err = c.CopyOut(t.Context(), "/alias/dir/file")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"file": got["dir/file"]}, unpack(t, stream)); diff != "" {
		t.Errorf("one file: %s", diff)
	}
}

// escapes checks that a hostile stream cannot write outside of its directory. Streams of caches and
// artifacts come from builds.
func (s Suite) escapes(t *testing.T) {
	c := s.start(t, s.spec(t))
	for _, name := range []string{"../out", "a/../../out", "/out"} {
		// The names leave the directory at once, after a detour, and as an absolute path.
		err := c.CopyIn(t.Context(), "/in", pack(t, []tar.Header{{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: 4}}))
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	// Nothing is written on the way to the error either.
	if _, out, _ := sh(t, c, "ls -d /out /in/out 2>/dev/null"); out != "" {
		t.Errorf("written: %s", out)
	}
}

// missing checks the error by which callers recognize that an artifact or a report does not exist.
func (s Suite) missing(t *testing.T) {
	c := s.start(t, s.spec(t))
	if _, err := c.CopyOut(t.Context(), "/no/such"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}
