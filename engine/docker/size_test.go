package docker_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
)

func TestAnImageThatHasNoRoomIsNotPulled(t *testing.T) {
	t.Parallel()
	e, r := connect(t), newRegistry(t)
	ref := r.ref(t, e, "large:1")
	r.push(t, "large:1", "one", runtime.GOARCH, rootfs(t, e, nil))
	size, err := engine.ImageSize{Download: 1 << 60, Disk: 2 << 60}, error(nil)
	measuring := connectTo(t, docker.Options{Host: os.Getenv("DOCKER_HOST"), Measure: func(_ context.Context, image, platform, have string) (engine.ImageSize, error) {
		if image != ref || platform != "linux/"+runtime.GOARCH || have != "" {
			t.Errorf("asked for %s of %s, as if %q were here", image, platform, have)
		}
		return size, err
	}})
	spec := pulls(t, ref)
	var told engine.Progress
	spec.Hooks.OnProgress = func(p engine.Progress) {
		if p.Status == engine.Sized {
			told = p
		}
	}
	wantFault(t, refused(t, measuring, spec), engine.DiskFull, ref, "GB free", "docker system prune")
	if told.Total != 1<<60 || told.Disk != 2<<60 || told.Free <= 0 {
		t.Errorf("told %+v", told)
	}
	if asked := strings.Join(r.asked, " "); strings.Contains(asked, "blobs") {
		t.Errorf("it was pulled: %s", asked)
	}
	err = errors.New("the registry does not say") // then it is pulled all the same
	var found engine.Image
	spec.Hooks.OnImage = func(i engine.Image) { found = i }
	if got := version(t, measuring, spec); got != "one" {
		t.Errorf("got %q", got)
	}
	if found.ID == "" || found.Platform != "linux/"+runtime.GOARCH || !strings.HasPrefix(found.Digest, "sha256:") || found.Size <= 0 {
		t.Errorf("the image is %+v", found)
	}
	spec.Image.Digest, spec.Image.Pull = found.Digest, engine.PullNever
	if got := version(t, measuring, spec); got != "one" {
		t.Errorf("by its digest: %q", got)
	}
	spec.Image.Digest = "sha256:" + strings.Repeat("0", 64)
	wantFault(t, refused(t, measuring, spec), engine.NoImage, "with the digest "+spec.Image.Digest)
}
