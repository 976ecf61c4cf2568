package runtimes_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/runtimes"
)

func TestKeep_WantedVersionsOnly(t *testing.T) {
	t.Parallel()
	const text = `version: 0.1
runtimes:
  python:
    versions:
      3.10:
        commands: [echo 3.10]
      "3.9":
        commands: [echo 3.9]
      default:
        commands: [echo $VERSION]
  ruby:
    versions:
      3.2:
        commands: [echo ruby]
`
	got, err := runtimes.Keep([]byte(text), func(name, version string) bool {
		return name == "python" &&
			version == "3.10"
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `version: 0.1
runtimes:
    python:
        versions:
            3.10:
                commands: [echo 3.10]
            default:
                commands: [echo $VERSION]
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	for _, odd := range []string{"", "a: b", "runtimes: [1]", "runtimes: {a: 1}", "runtimes: {a: {versions: 2}}"} {
		if _, err := runtimes.Keep([]byte(odd), func(string, string) bool { return true }); err != nil {
			t.Errorf("%q: %v", odd, err)
		}
	}
	if _, err := runtimes.Keep([]byte("a: ["), nil); err == nil {
		t.Error("no error for what is no YAML")
	}
}
