package images_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine"
)

// obstacles create files that cannot be read to their end.
func obstacles(t *testing.T) map[string]func(name string) error {
	return map[string]func(name string) error{
		"pipe":      func(name string) error { return unix.Mkfifo(name, 0o644) },
		"zeros":     func(name string) error { return os.Symlink("/dev/zero", name) },
		"directory": func(name string) error { return os.Mkdir(name, 0o755) },
		"socket": func(name string) error {
			// The path of a socket is limited to 108 bytes, so it is created elsewhere and moved.
			short := filepath.Join(os.TempDir(), fmt.Sprintf("s%d", time.Now().UnixNano()))
			listener, err := net.Listen("unix", short)
			if err != nil {
				return err
			}
			t.Cleanup(func() { listener.Close() })
			return os.Rename(short, name)
		},
	}
}

// pullLocal pulls a local image, and fails the test if that does not end.
func pullLocal(ctx context.Context, t *testing.T, name string) error {
	t.Helper()
	done := make(chan error, 1)
	st := store(filepath.Join(t.TempDir(), "store"))
	go func() {
		got, err := st.Need(ctx, engine.Spec{Image: engine.ImageRef{Names: []string{name}, Pull: engine.PullNever}})
		if err == nil {
			got.Close()
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(time.Minute):
		t.Fatalf("%s: pulling it does not end", name)
		return nil
	}
}

func TestNeed_RefusesFilesThatBlock(t *testing.T) {
	t.Parallel()
	image := image(t, "amd64", layer(t, "one", 100))
	manifest, err := image.Digest()
	config, cerr := image.ConfigName()
	layers, lerr := image.Layers()
	if err := errors.Join(err, cerr, lerr); err != nil {
		t.Fatal(err)
	}
	first, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	blob := func(h v1.Hash) string { return filepath.Join("blobs", h.Algorithm, h.Hex) }
	for _, place := range []string{"index.json", blob(manifest), blob(config), blob(first)} {
		for kind, put := range obstacles(t) {
			dir := filepath.Join(t.TempDir(), "layout")
			l, err := layout.Write(dir, empty.Index)
			if err == nil {
				err = l.AppendImage(image)
			}
			if err := errors.Join(err, os.Remove(filepath.Join(dir, place)), put(filepath.Join(dir, place))); err != nil {
				t.Fatal(err)
			}
			if err := pullLocal(t.Context(), t, "oci:"+dir); err == nil ||
				!strings.Contains(err.Error(), "expected a regular file") {
				t.Errorf("%s as %s: %v; want that a regular file is expected", place, kind, err)
			}
		}
	}
	for kind, put := range obstacles(t) {
		file := filepath.Join(t.TempDir(), "image.tar")
		if err := put(file); err != nil {
			t.Fatal(err)
		}
		if err := pullLocal(t.Context(), t, "tar:"+file); err == nil ||
			!strings.Contains(err.Error(), "expected a regular file") {
			t.Errorf("archive as %s: %v; want that a regular file is expected", kind, err)
		}
	}
}

func TestNeed_RefusesLargeDocumentsAndLoops(t *testing.T) {
	t.Parallel()
	digest := strings.Repeat("a", 64)
	loop := fmt.Sprintf(
		`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:%s",`+
			`"size":1}]}`,
		digest,
	)
	for want, write := range map[string]func(dir string) error{
		"larger than": func(dir string) error { return os.Truncate(filepath.Join(dir, "index.json"), 1<<40) },
		"does not fit its digest": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "index.json"),
				[]byte(loop), 0o644)
		},
	} {
		dir := filepath.Join(t.TempDir(), "layout")
		_, err := layout.Write(dir, empty.Index)
		blobs := filepath.Join(dir, "blobs", "sha256")
		if err := errors.Join(err, os.MkdirAll(blobs, 0o755),
			os.WriteFile(filepath.Join(blobs, digest), []byte(loop), 0o644), write(dir)); err != nil {
			t.Fatal(err)
		}
		if err := pullLocal(t.Context(), t, "oci:"+dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want %q", err, want)
		}
	}
}

func TestNeed_CancelWhileReading(t *testing.T) {
	t.Parallel()
	tag, _ := name.NewTag("mine/one:1")
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := tarball.WriteToFile(file, tag, image(t, "amd64", layer(t, "one", 100))); err != nil {
		t.Fatal(err)
	}
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stopped)
	if err := pullLocal(ctx, t, "tar:"+file); !errors.Is(err, stopped) {
		t.Errorf("got %v; want the cause of the context", err)
	}
}
