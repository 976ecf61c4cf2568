package untar_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/internal/untar"
)

// layer returns how a layer is unpacked for the user of the test.
func layer() untar.Unpacking {
	if os.Geteuid() == 0 {
		return untar.Unpacking{Opaque: "trusted.overlay.opaque", Owners: true}
	}
	return untar.Unpacking{Opaque: "user.overlay.opaque"}
}

func dir(name string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}
}

func file(name string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: 4}
}

func symlink(name, to string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to, Mode: 0o777}
}

func hardlink(name, to string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: to}
}

func pack(t testing.TB, headers ...tar.Header) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		h.Format, h.ModTime = tar.FormatPAX, time.Unix(1000, 0)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			_, _ = w.Write([]byte("text"))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// seen describes everything below a directory, one line for each.
func seen(t *testing.T, root string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		info, err := d.Info()
		rel, _ := filepath.Rel(root, name)
		line := fmt.Sprintf("%s %v", rel, info.Mode())
		if d.Type()&fs.ModeSymlink != 0 {
			to, _ := os.Readlink(name)
			line += " " + to
		}
		value := make([]byte, 8)
		if n, err := unix.Lgetxattr(name, layer().Opaque, value); err == nil {
			line += " opaque=" + string(value[:n])
		}
		all = append(all, line)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestUnpack_OverlayLayer(t *testing.T) {
	t.Parallel()
	needMknod(t)
	for _, c := range []struct {
		name    string
		headers []tar.Header
		want    []string
	}{
		{"directories are made where the " +
			"layer has none", []tar.Header{file("a/b/c")}, []string{"a drwxr-xr-x", "a/b drwxr-xr-x", "a/b/c -rw-r--r--"}},
		{"a whiteout", []tar.Header{file("a/.wh.gone")}, []string{"a drwxr-xr-x", "a/gone Dc---------"}},
		{"an opaque directory", []tar.Header{dir("a/"), file("a/.wh..wh..opq"), file("a/b")},
			[]string{"a drwxr-xr-x opaque=y", "a/b -rw-r--r--"}},
		{"a whiteout of what the layer has, before it", []tar.Header{file(".wh.a"), file("a")}, []string{"a -rw-r--r--"}},
		{"a whiteout of what the layer has, after it", []tar.Header{file("a"), file(".wh.a")}, []string{"a -rw-r--r--"}},
		{"a directory in place of " +
			"another, before it", []tar.Header{file(".wh.a"), dir("a/"), file("a/b")},
			[]string{"a drwxr-xr-x opaque=y", "a/b -rw-r--r--"}},
		{"a directory in place of " +
			"another, after it", []tar.Header{dir("a/"), file(".wh.a")}, []string{"a drwxr-xr-x opaque=y"}},
		{"notes of another driver", []tar.Header{dir(".wh..wh.plnk/"), file(".wh..wh.aufs")}, nil},
		{"a link on the way, absolute", []tar.Header{symlink("run", "/var/run"), dir("var/run/"), file("run/x")},
			[]string{"run Lrwxrwxrwx /var/run", "var drwxr-xr-x", "var/run drwxr-xr-x", "var/run/x -rw-r--r--"}},
		{"modes", []tar.Header{{Name: "su", Typeflag: tar.TypeReg, Mode: 0o4755},
			{Name: "t/", Typeflag: tar.TypeDir, Mode: 0o1777}, {Name: "no", Typeflag: tar.TypeReg, Mode: 0}},
			[]string{"no ----------", "su urwxr-xr-x", "t dtrwxrwxrwx"}},
		{"a name twice", []tar.Header{dir("a/"), file("a/b"), symlink("a", "elsewhere"), file("c"), dir("c/")},
			[]string{"a Lrwxrwxrwx elsewhere", "c drwxr-xr-x"}},
		{"a hard link", []tar.Header{file("a"), hardlink("b/c", "/a")},
			[]string{"a -rw-r--r--", "b drwxr-xr-x", "b/c -rw-r--r--"}},
		{"a hard link to a link", []tar.Header{symlink("a", "/etc/passwd"), hardlink("b", "a")},
			[]string{"a Lrwxrwxrwx /etc/passwd", "b Lrwxrwxrwx /etc/passwd"}},
		{"devices are left out", []tar.Header{{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3},
			{Name: "fifo", Typeflag: tar.TypeFifo, Mode: 0o640}}, []string{"fifo prw-r-----"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			if err := untar.Unpack(root, pack(t, c.headers...), layer()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, seen(t, root)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// needMknod skips a test if whiteouts cannot be created.
func needMknod(t *testing.T) {
	t.Helper()
	if err := unix.Mknod(filepath.Join(t.TempDir(), "w"), unix.S_IFCHR, 0); err != nil {
		t.Skipf("no whiteouts here: %v", err)
	}
}

func TestUnpack_RefusesEscapes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		headers []tar.Header
		refused bool
	}{
		{"a parent", []tar.Header{file("../out")}, true},
		{"a parent on the way", []tar.Header{file("a/../../out")}, true},
		{"an absolute name", []tar.Header{file("/out")}, false},
		{"a link out", []tar.Header{symlink("a", ".."), file("a/out")}, false},
		{"an absolute link out", []tar.Header{symlink("a", "OUTSIDE"), file("a/out")}, true},
		{"links in a row", []tar.Header{symlink("a", "b"), symlink("b", "../../.."), file("a/out")}, false},
		{"a file that is a link", []tar.Header{symlink("a", "OUTSIDE/out"), file("a")}, false},
		{"a directory that is a link", []tar.Header{symlink("a", "OUTSIDE"), dir("a/"), file("a/out")}, false},
		{"a hard link out", []tar.Header{hardlink("a", "OUTSIDE/secret"), file("a")}, true},
		{"a hard link by a link", []tar.Header{symlink("l", "OUTSIDE"), hardlink("a", "l/secret"), file("a")}, true},
		{"a hard link to a parent", []tar.Header{hardlink("a", "../secret")}, true},
		{"a whiteout of the parent", []tar.Header{file(".wh...")}, true},
		{"a whiteout of the directory", []tar.Header{file("a/.wh..")}, true},
		{"a whiteout of nothing", []tar.Header{file(".wh.")}, true},
		{"a whiteout by a link", []tar.Header{symlink("a", "OUTSIDE"), file("a/.wh.secret")}, true},
		{"an opaque link", []tar.Header{symlink("a", "OUTSIDE"), file("a/.wh..wh..opq")}, true},
		{"a huge name", []tar.Header{file(strings.Repeat("x", 300))}, true},
		{"a deep name", []tar.Header{file(strings.Repeat("x/", 3000) + "x")}, true},
		{"the root as a link", []tar.Header{symlink("./", "OUTSIDE"), file("out")}, true},
		{"a loop", []tar.Header{symlink("a", "b"), symlink("b", "a"), file("a/out")}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			top := t.TempDir()
			outside, root := filepath.Join(top, "outside"), filepath.Join(top, "in", "root")
			if err := errors.Join(os.MkdirAll(root, 0o755), os.Mkdir(outside, 0o755),
				os.WriteFile(filepath.Join(outside, "secret"), []byte("kept"), 0o600)); err != nil {
				t.Fatal(err)
			}
			for i := range c.headers {
				c.headers[i].Linkname = strings.ReplaceAll(c.headers[i].Linkname, "OUTSIDE", outside)
			}
			err := untar.Unpack(root, pack(t, c.headers...), layer())
			if (err != nil) != c.refused {
				t.Errorf("refused %v: %v", c.refused, err)
			}
			var names []string
			_ = filepath.WalkDir(top, func(name string, _ fs.DirEntry, _ error) error {
				if !strings.HasPrefix(name, root) {
					names = append(names, name)
				}
				return nil
			})
			text, err := os.ReadFile(filepath.Join(outside, "secret"))
			info, _ := os.Stat(filepath.Join(outside, "secret"))
			if len(names) != 4 || string(text) != "kept" || err != nil || info.Mode() != 0o600 ||
				info.Sys().(*syscall.Stat_t).Nlink != 1 {
				t.Errorf("outside there is %v; the secret is %q with mode %v, %v", names, text, info.Mode(), err)
			}
		})
	}
}

func TestUnpack_KeepsMetadata(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	h := file("a/f")
	h.Uid, h.Gid = 1234, 5678
	h.PAXRecords = map[string]string{
		"SCHILY.xattr.user.mine":                "x",
		"SCHILY.xattr.trusted.overlay.redirect": "/etc",
		"SCHILY.xattr.user.overlay.opaque":      "y",
	}
	if err := untar.Unpack(root, pack(t, dir("a/"), h, symlink("a/l", "f")), layer()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "a/f", "a/l"} {
		info, err := os.Lstat(filepath.Join(root, name))
		if err != nil || info.ModTime().Unix() != 1000 {
			t.Errorf("%s: time %v, %v", name, info.ModTime(), err)
		}
	}
	info, err := os.Stat(filepath.Join(root, "a/f"))
	if err != nil {
		t.Fatal(err)
	}
	if s := info.Sys().(*syscall.Stat_t); os.Geteuid() == 0 && (s.Uid != 1234 || s.Gid != 5678) {
		t.Errorf("owner %d:%d", s.Uid, s.Gid)
	}
	names := make([]byte, 1000)
	n, err := unix.Llistxattr(filepath.Join(root, "a/f"), names)
	if err != nil && !errors.Is(err, unix.ENOTSUP) {
		t.Fatal(err)
	}
	if got := string(names[:n]); err == nil && got != "user.mine\x00" {
		t.Errorf("attributes %q", got)
	}
}

// TestUnpack_Text has files that end before, at and behind the bounds of the buffers that
// pass them on, and more entries than one of them holds.
func TestUnpack_Text(t *testing.T) {
	t.Parallel()
	const buffer = 256 << 10
	sizes := []int{0, 1, buffer - 1, buffer, 0, buffer + 1, 31 << 10, buffer - 32<<10, 3*buffer + 7}
	for range 700 {
		sizes = append(sizes, 0, 3)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	text := func(n int) []byte { return bytes.Repeat([]byte{byte(n), byte(n >> 8), 1}, sizes[n]/3+1)[:sizes[n]] }
	for n := range sizes {
		// The text of a device is skipped.
		for name, kind := range map[string]byte{fmt.Sprint(n): tar.TypeReg, fmt.Sprint("d", n): tar.TypeChar} {
			h := tar.Header{Name: name, Typeflag: kind, Mode: 0o600}
			if kind == tar.TypeReg {
				h.Size = int64(sizes[n])
			}
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(text(n)[:h.Size]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	stream := io.MultiReader(bytes.NewReader(b.Bytes()), strings.NewReader(strings.Repeat("\x00", buffer)))
	if err := untar.Unpack(root, iotest.HalfReader(stream), layer()); err != nil {
		t.Fatal(err)
	}
	for n := range sizes {
		got, err := os.ReadFile(filepath.Join(root, fmt.Sprint(n)))
		if err != nil || !bytes.Equal(got, text(n)) {
			t.Errorf("file %d: %d bytes, want %d, or other ones; %v", n, len(got), sizes[n], err)
		}
	}
	if rest, _ := stream.Read(make([]byte, 1)); rest != 0 {
		t.Error("the stream was not read to its end")
	}
}

// TestUnpack_Truncated ends a stream within headers and within text.
func TestUnpack_Truncated(t *testing.T) {
	t.Parallel()
	whole := pack(t, dir("a/"), file("a/b"), hardlink("c", "a/b"), file("d")).Bytes()
	for _, n := range []int{1, 511, 513, 1025, 1027, 1600, 2500, 2562} {
		err := untar.Unpack(t.TempDir(), bytes.NewReader(whole[:n]), layer())
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes: %v", n, err)
		}
		broken := io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(os.ErrDeadlineExceeded))
		if err := untar.Unpack(t.TempDir(), broken, layer()); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes and an error: %v", n, err)
		}
	}
	late := io.MultiReader(bytes.NewReader(whole), iotest.ErrReader(os.ErrDeadlineExceeded))
	if err := untar.Unpack(t.TempDir(), late, layer()); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an error behind the archive: %v", err)
	}
}

// TestUnpack_StopsReading checks that nothing reads a stream when Unpack has returned: the
// caller may close its file, and a new file gets the same number.
func TestUnpack_StopsReading(t *testing.T) {
	t.Parallel()
	endless := &endlessStream{Reader: io.MultiReader(pack(t, file("../x")), endlessFiles{})}
	if err := untar.Unpack(t.TempDir(), endless, layer()); !errors.Is(err, untar.ErrEscape) {
		t.Errorf("got %v", err)
	}
	endless.closed.Store(true)
	runtime.Gosched()
	if endless.late.Load() {
		t.Error("the stream was read later")
	}
}

type endlessStream struct {
	io.Reader
	closed, late atomic.Bool
}

func (e *endlessStream) Read(p []byte) (int, error) {
	if e.closed.Load() {
		e.late.Store(true)
	}
	return e.Reader.Read(p)
}

type endlessFiles struct{}

func (endlessFiles) Read(p []byte) (int, error) { return len(p), nil }

func TestUnpack_IgnoresUmask(t *testing.T) { // not parallel: the umask is that of the process
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	root := t.TempDir()
	if err := untar.Unpack(root, pack(t, dir("a/"), file("b/c/d"), file("e")), layer()); err != nil {
		t.Fatal(err)
	}
	want := []string{"a drwxr-xr-x", "b drwxr-xr-x", "b/c drwxr-xr-x", "b/c/d -rw-r--r--", "e -rw-r--r--"}
	if diff := cmp.Diff(want, seen(t, root)); diff != "" {
		t.Error(diff)
	}
}

func TestUnpack_WhiteoutNamesInPlainArchive(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := untar.Unpack(root, pack(t, file(".wh.x"), file("a/.wh..wh..opq")),
		untar.Unpacking{Strict: true}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{".wh.x -rw-r--r--", "a drwxr-xr-x", "a/.wh..wh..opq -rw-r--r--"},
		seen(t, root)); diff != "" {
		t.Error(diff)
	}
	if err := untar.Unpack(root, pack(t, file("/x")), untar.Unpacking{Strict: true}); !errors.Is(err, untar.ErrEscape) {
		t.Errorf("an absolute name: %v", err)
	}
}

func TestUnpack_HugeFile(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	for _, size := range []int64{1 << 40, math.MaxInt64} {
		b.Reset()
		w := tar.NewWriter(&b)
		headers := []*tar.Header{
			{Name: "small", Typeflag: tar.TypeReg}, {Name: "huge", Typeflag: tar.TypeReg, Size: size}, // 512 bytes are enough
		}
		for _, h := range headers {
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
		}
		b.WriteString("text")
		if err := untar.Unpack(t.TempDir(), &b, layer()); !errors.Is(err, untar.ErrTooLarge) {
			t.Errorf("%d bytes: got %v", size, err)
		}
	}
}

// FuzzUnpack unpacks hostile layers: nothing outside the directory may change.
func FuzzUnpack(f *testing.F) {
	for _, headers := range [][]tar.Header{
		{dir("a/"), file("a/b"), symlink("a/c", "../../.."), file("a/c/d")},
		{file("../x"), file("/y"), hardlink("z", "../secret"), file(".wh..."), file("a/.wh..wh..opq")},
		{symlink("a", "/proc/self/root"), file("a/x"), hardlink("b", "a/etc/passwd")},
		{{Name: "n", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}, {Name: "b", Typeflag: tar.TypeBlock},
			{Name: "p", Typeflag: tar.TypeFifo}},
	} {
		f.Add(pack(f, headers...).Bytes())
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		top := t.TempDir()
		root := filepath.Join(top, "in", "root")
		if err := errors.Join(os.MkdirAll(root, 0o755),
			os.WriteFile(filepath.Join(top, "secret"), []byte("kept"), 0o600)); err != nil {
			t.Fatal(err)
		}
		how := layer()
		how.Largest = 1 << 20
		_ = untar.Unpack(root, io.LimitReader(bytes.NewReader(stream), 1<<20), how)
		entries, _ := os.ReadDir(top)
		inner, _ := os.ReadDir(filepath.Join(top, "in"))
		text, _ := os.ReadFile(filepath.Join(top, "secret"))
		info, err := os.Lstat(filepath.Join(top, "secret"))
		if len(entries) != 2 || len(inner) != 1 || string(text) != "kept" || err != nil ||
			info.Sys().(*syscall.Stat_t).Nlink != 1 {
			t.Fatalf("outside changed: %v %v %q", entries, inner, text)
		}
		_ = filepath.WalkDir(root, func(name string, d fs.DirEntry, _ error) error { // so that it can be removed
			if d != nil && d.IsDir() {
				_ = os.Chmod(name, 0o700)
			}
			return nil
		})
	})
}
