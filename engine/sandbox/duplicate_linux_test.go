package sandbox_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
)

// twice copies an archive of docker save, and lists the image's first layer twice more.
func twice(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	r := tar.NewReader(bytes.NewReader(text))
	for h, err := r.Next(); err == nil; h, err = r.Next() {
		if h.Typeflag == tar.TypeReg {
			files[h.Name], _ = io.ReadAll(r)
		}
	}
	var manifest []map[string]any
	var config map[string]any
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(files[manifest[0]["Config"].(string)], &config); err != nil {
		t.Fatal(err)
	}
	again := func(list any) []any { l := list.([]any); return append(l, l[0], l[0]) }
	manifest[0]["Layers"] = again(manifest[0]["Layers"])
	rootfs := config["rootfs"].(map[string]any)
	rootfs["diff_ids"] = again(rootfs["diff_ids"])
	delete(config, "history")
	changed, err1 := json.Marshal(config)
	manifest[0]["Config"] = fmt.Sprintf("%x.json", sha256.Sum256(changed))
	files[manifest[0]["Config"].(string)] = changed
	listed, err2 := json.Marshal(manifest)
	files["manifest.json"] = listed
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644,
			Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(text)
	}
	if err := errors.Join(err1, err2, w.Close(), os.WriteFile(to, b.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}
