package share

import "testing"

func TestOriginalID_PodmanNames(t *testing.T) {
	t.Parallel()
	tags := map[string]string{"a:1": "sha256:a", "localhost/b:1": "sha256:b"}
	for _, test := range []struct {
		what, name string
		now        []string
		want       string
	}{
		{"a name that was there", "a:1", []string{"a:1"}, "sha256:a"},
		{"a new one", "c:1", []string{"c:1"}, ""},
		{"podman, whose name is longer", "b:1", []string{"localhost/b:1"}, "sha256:b"},
		{"Docker, which has two", "b:1", []string{"b:1"}, ""},
		{"Docker, one image of both", "b:1", []string{"b:1", "localhost/b:1"}, ""},
	} {
		if got := originalID(tags, test.name, test.now); got != test.want {
			t.Errorf("%s: %q, want %q", test.what, got, test.want)
		}
	}
}
