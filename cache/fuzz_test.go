package cache

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

// FuzzUnpack checks that a stream writes only below the directory.
func FuzzUnpack(f *testing.F) {
	for _, headers := range [][]tar.Header{
		{
			{Name: "src/a", Typeflag: tar.TypeReg}, {Name: "root/b", Typeflag: tar.TypeDir},
			{Name: "src/h", Typeflag: tar.TypeLink, Linkname: "src/a"},
		},
		{{Name: "src/l", Typeflag: tar.TypeSymlink, Linkname: "../.."}, {Name: "src/l/x", Typeflag: tar.TypeReg}},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range headers {
			if err := w.WriteHeader(&h); err != nil {
				f.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		outside := t.TempDir()
		dir := filepath.Join(outside, "in")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		w := newWriter(t.Context(), dir)
		err := w.unpack(bytes.NewReader(text))
		files, failed := w.finish()
		if err == nil && failed == nil {
			e := &Entry{dir: dir, list: files}
			if err := e.check(); err != nil {
				t.Errorf("what was written is not whole: %v", err)
			}
		}
		if all, err := os.ReadDir(outside); err != nil || len(all) != 1 {
			t.Errorf("outside is %v, %v", all, err)
		}
		_ = removeAll(dir)
	})
}

// FuzzIndex checks that reading a list of files ends.
func FuzzIndex(f *testing.F) {
	f.Add(encodeList([]File{{Name: "src/a", Kind: tar.TypeReg}}))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, indexName), text, 0o600); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(text)
		_, _ = readIndex(dir, hex.EncodeToString(sum[:]))
	})
}
