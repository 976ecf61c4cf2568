package tree_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/buildlocal/buildlocal/internal/tree"
)

func TestCopySparse_KeepsHoles(t *testing.T) {
	t.Parallel()
	zeros := func(n int) []byte { return make([]byte, n) }
	data := func(n int) []byte { return bytes.Repeat([]byte("x"), n) }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, c := range map[string]struct {
		content []byte
		most    int64 // maximum bytes allocated
	}{
		"empty":               {nil, 0},
		"text":                {data(10), 4096},
		"zeros":               {zeros(1 << 20), 0},
		"zeros, not aligned":  {zeros(1<<20 + 1), 0},
		"data at the end":     {join(zeros(1<<20), data(10)), 4096},
		"data at the start":   {join(data(10), zeros(1<<20)), 4096},
		"data in the middle":  {join(zeros(1<<19+100), data(5000), zeros(1<<19)), 3 * 4096},
		"holes among data":    {join(data(4096), zeros(8192), data(4096), zeros(300<<10), data(1)), 3 * 4096},
		"a buffer of data":    {data(1 << 20), 1 << 20},
		"one byte at a block": {join(zeros(4096), data(1), zeros(4095), zeros(4096)), 4096},
	} {
		for kind, from := range map[string]io.Reader{"at once": bytes.NewReader(c.content),
			"in pieces": iotest.HalfReader(bytes.NewReader(c.content))} {
			f, err := os.Create(filepath.Join(t.TempDir(), "f"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			size, err := tree.CopySparse(f, from, nil)
			if err != nil || size != int64(len(c.content)) {
				t.Errorf("%s, %s: %d bytes, %v", name, kind, size, err)
			}
			if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, c.content) {
				t.Errorf("%s, %s: the content differs (%v)", name, kind, err)
			}
			info, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			if got := tree.Allocated(info); got > c.most && runtime.GOOS == "linux" {
				t.Errorf("%s, %s: %d bytes are allocated; want at most %d", name, kind, got, c.most)
			}
		}
	}
}

func TestCopySparse_ReaderError(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := tree.CopySparse(f, iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader([]byte("ab")))),
		nil); err != iotest.ErrTimeout {
		t.Errorf("got %v", err)
	}
}
