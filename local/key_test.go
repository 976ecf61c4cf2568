package local

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// hostWith returns a host with a state directory; "" for none.
func hostWith(state string) *Host {
	return &Host{LookupEnv: func(name string) (string, bool) {
		return state, name == "XDG_STATE_HOME" && state != ""
	}}
}

func TestKey_SameForAllBuildsOfAUser(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	var group sync.WaitGroup
	for range 8 { // builds that start at the same time
		group.Go(func() { hostWith(state).key() })
	}
	group.Wait()
	first, second, other := hostWith(state).key(), hostWith(state).key(), hostWith(t.TempDir()).key()
	if a, b := first("value"), second("value"); a != b || a == first("other") || a == other("value") {
		t.Errorf("hashes %q and %q, other value %q, other user %q", a, b, first("other"), other("value"))
	}
	info, err := os.Stat(filepath.Join(state, "buildlocal", "key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key can be read by others: %v, %v", info, err)
	}
}

func TestKey_WithoutStateDirectory(t *testing.T) {
	t.Parallel()
	if hostWith("").key() != nil {
		t.Error("a key without a place for it")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if hostWith(file).key() != nil {
		t.Error("a key that was not stored")
	}
}

func TestParseBuildID(t *testing.T) {
	t.Parallel()
	const id = "shop:0a1b2c3d-0000-4000-8000-000000000001"
	for text, want := range map[string]BuildID{
		id: {ID: id},
		"arn:aws:codebuild:eu-west-1:123456789012:build/" + id:        {id, "eu-west-1"},
		"arn:aws-cn:codebuild:cn-north-1:123456789012:build/" + id:    {id, "cn-north-1"},
		"https://console.aws.amazon.com/build/" + id + "?region=us-x": {id, "us-x"},
		"https://eu-west-1.console.aws.amazon.com/codesuite/codebuild/1/projects/shop/build/" +
			"shop%3A0a1b2c3d-0000-4000-8000-000000000001/log?region=eu-central-1&x=y": {id, "eu-central-1"},
	} {
		if got, valid := ParseBuildID(text); got != want || !valid {
			t.Errorf("%s: %v, %v", text, got, valid)
		}
	}
	for _, text := range []string{"", "build.json", "-", "shop:1", "12", "https://example.com/build/x", "a/" + id} {
		if got, valid := ParseBuildID(text); valid {
			t.Errorf("%s: %v", text, got)
		}
	}
}
