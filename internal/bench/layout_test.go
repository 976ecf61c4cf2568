package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOCILayout_LinksLayers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"manifest.json": `[{"Config": "c.json", "Layers": ["one/layer.tar", "two/layer.tar"]}]`,
		"c.json":        `{"rootfs": {"diff_ids": ["sha256:aa", "sha256:bb"]}}`,
		"one/layer.tar": "first",
		"two/layer.tar": "second",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // blobs that exist already are kept
		files, err := ociLayout(dir)
		if err != nil || len(files) != 2 {
			t.Fatalf("got %v, %v", files, err)
		}
		for i, want := range []string{"first", "second"} {
			if got, err := os.ReadFile(files[i]); string(got) != want {
				t.Errorf("layer %d is %q, %v", i, got, err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "c.json"), []byte(`{}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ociLayout(dir); err == nil {
		t.Error("layers without digests were accepted")
	}
}
