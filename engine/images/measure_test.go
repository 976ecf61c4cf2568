//go:build linux

package images_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/images"
)

func TestTheSizeOfAnImageIsKnownBeforeItIsPulled(t *testing.T) {
	t.Parallel()
	r := serve(t)
	ref := strings.TrimPrefix(r.URL, "http://") + "/app:1"
	tag, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	img := image(t, "amd64", layer(t, "one", 100_000), layer(t, "two", 200_000))
	if err := remote.Write(tag, img); err != nil {
		t.Fatal(err)
	}
	size, err := images.Measure(t.Context(), ref, platform, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	digest, _ := img.Digest()
	if size.Digest != digest.String() || size.Download < 300_000 || size.Download > 310_000 || size.Disk != engine.EstimateUnpacked(size.Download) {
		t.Errorf("got %+v", size)
	}
	if len(r.asked) != 0 {
		t.Errorf("layers were asked for: %v", r.asked)
	}
	if _, err := images.Measure(t.Context(), ref+"none", platform, "", nil); err == nil {
		t.Error("no error for an image that is not there")
	}
	gets := 0
	r.misbehave(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") {
			gets++
		}
		return false
	})
	if same, err := images.Measure(t.Context(), ref, platform, size.Digest, nil); err != nil || same != (engine.ImageSize{Digest: size.Digest}) || gets != 0 {
		t.Errorf("of one that is here: got %+v, %v; its manifest was read %d times", same, err, gets)
	}
	if other, err := images.Measure(t.Context(), ref, platform, "sha256:"+strings.Repeat("0", 64), nil); err != nil || other != size {
		t.Errorf("of another: got %+v, %v", other, err)
	}
	var sized engine.Progress
	s := store(t.TempDir())
	got, err := s.Pull(t.Context(), ref, func(p engine.Progress) {
		if p.Status == engine.Sized {
			sized = p
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if sized.Total != size.Download || sized.Disk != size.Disk || sized.Free <= 0 {
		t.Errorf("the pull told %+v", sized)
	}
	if got.About.Digest != size.Digest || got.About.Name == "" || got.About.Size < 300_000 {
		t.Errorf("the image is %+v", got.About)
	}
	spec := engine.Spec{Image: engine.ImageRef{Names: []string{ref}, Digest: size.Digest}}
	pinned, err := s.Need(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer pinned.Close()
	spec.Image.Digest = "sha256:" + strings.Repeat("0", 64)
	if _, err := s.Need(t.Context(), spec); err == nil {
		t.Error("an image of another digest was taken")
	}
}

func TestARegistryThatSaysWhenIsAskedAgain(t *testing.T) {
	t.Parallel()
	r := serve(t)
	ref := r.push(t, "app:1", image(t, "amd64", layer(t, "one", 1000)))
	refusals := 0
	r.misbehave(func(w http.ResponseWriter, q *http.Request) bool {
		if refusals >= 2 || !strings.Contains(q.URL.Path, "app") {
			return false
		}
		refusals++
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	got, err := store(t.TempDir()).Pull(t.Context(), ref, nil)
	if err != nil {
		t.Fatal(err)
	}
	got.Close()
	if refusals != 2 {
		t.Errorf("it was refused %d times", refusals)
	}
	// One that does not say, or wants an hour, is not waited for.
	for _, wait := range []string{"", "3600", "soon"} {
		r.misbehave(func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", wait)
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		})
		_, err := store(t.TempDir()).Pull(t.Context(), ref, nil)
		if err == nil || !strings.Contains(err.Error(), "limits how often it may be asked") {
			t.Errorf("%q: %v", wait, err)
		}
	}
}
