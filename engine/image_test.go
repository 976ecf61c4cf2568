package engine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/engine"
)

func TestCheckSpace_TooLarge(t *testing.T) {
	t.Parallel()
	size := engine.ImageSize{Download: 3e9, Disk: engine.EstimateUnpacked(3e9)}
	if err := size.CheckSpace("a:1", "/data", 11e9); err != nil {
		t.Errorf("11 GB are enough for 10.8: %v", err)
	}
	err := size.CheckSpace("a:1", "/data", 10e9)
	var f *engine.Fault
	if !errors.As(err, &f) || f.Kind != engine.DiskFull {
		t.Fatalf("got %v", err)
	}
	for _, part := range []string{"a:1", "10.8 GB", "3.0 to download", "/data has 10.0 GB free", "prune"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not hold %q", err, part)
		}
	}
}

func TestPinned_ReplacesTag(t *testing.T) {
	t.Parallel()
	spec := engine.Spec{
		Image: engine.ImageRef{
			Names: []string{
				"a",
				"a:1",
				"r.example:5000/a/b:1",
				"r.example:5000/a/b",
				"a@sha256:old",
				"tar:a.tar:n:1",
				"oci:dir:1",
			},
		},
	}
	if diff := cmp.Diff(spec.Image.Names, spec.Image.Pinned()); diff != "" {
		t.Errorf("without a digest: %s", diff)
	}
	spec.Image.Digest = "sha256:new"
	want := []string{
		"a@sha256:new",
		"a@sha256:new",
		"r.example:5000/a/b@sha256:new",
		"r.example:5000/a/b@sha256:new",
		"a@sha256:new",
		"tar:a.tar:n:1",
		"oci:dir:1",
	}
	if diff := cmp.Diff(want, spec.Image.Pinned()); diff != "" {
		t.Error(diff)
	}
	i := engine.Image{ID: "sha256:id", Digest: "sha256:digest"}
	for digest, want := range map[string]bool{"": true, "sha256:id": true, "sha256:digest": true, "sha256:other": false} {
		if i.Matches(digest) != want {
			t.Errorf("%q: %t", digest, !want)
		}
	}
}

func TestShortfall_Message(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	l := engine.Limits{CPUs: 4, Memory: 8 * gib}
	for want, machine := range map[string]struct {
		cpus   int
		memory int64
	}{
		"":                                      {4, 8 * gib},
		"This host has 2 CPUs, not 4: ":         {2, 16 * gib},
		"This host has 6GiB of memory, not 8: ": {8, 6 * gib},
		"This host has 1 CPU, not 4, and 0.5GiB of memory, not 8: the ": {1, gib / 2},
	} {
		if got := l.Shortfall(machine.cpus, machine.memory); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%+v: %q, want %q", machine, got, want)
		}
	}
	if got := l.Shortfall(4, 0); got != "" {
		t.Errorf("memory that is not known: %q", got)
	}
}

func TestLowerName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Node:22": "node:22", "node:LTS": "node:LTS", "my/Node@sha256:AB": "my/node@sha256:AB", "My/App": "My/app",
		"REGISTRY.example:5000/Team/App:V1": "REGISTRY.example:5000/team/app:V1", "localhost/App": "localhost/app",
		"oci:Dir": "oci:Dir", "tar:A.tar:B": "tar:A.tar:B", "Bad Image": "Bad Image", "Ünode": "Ünode", "": "",
	} {
		if got := engine.LowerName(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
