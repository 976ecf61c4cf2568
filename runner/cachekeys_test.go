package runner

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/secrets"
)

func TestCompute_MatchesShell(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"lock": "1", "sub/lock": "2", "hidden/lock": "3"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("lock", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	p := &Plan{
		Cache:     &buildspec.Cache{},
		Variables: []Variable{{Name: "A"}, {Name: "B", Expand: true}, {Name: "EMPTY"}},
	}
	p.Sources = []Source{{Tree: engine.Tree{Host: dir, Hide: []string{"hidden"}}}}
	c := &cacheStep{
		Runner: &Runner{HostFS: func(dir string) fs.FS { return os.DirFS(dir) }}, plan: p,
		values: variableValues{"A": secrets.NewValue("two words"), "B": secrets.NewValue("$x")},
	}
	const one = "9c2e4d8fe97d881430de4e754b4205b9c27ce96715231cffc4337340cb110280"
	for text, want := range map[string]string{
		"plain": "plain", "a-$A.$EMPTY${A}": "a-two words.two words",
		"$HOME/x": "/root/x", "${HOME}y": "/rooty",
		"k-$(codebuild-hash-files lock)": "k-" + one, "$(codebuild-hash-files 'lock'  \"lock\" )": one,
	} {
		if got, ok := c.compute(text); !ok || got != want {
			t.Errorf("%s: got %q, %v, want %q", text, got, ok, want)
		}
	}
	if all, ok := c.compute("$(codebuild-hash-files '**/lock')"); !ok || len(all) != len(one) || all == one {
		t.Errorf("of two files: got %q, %v", all, ok)
	}
	for _, text := range []string{
		"$B", "$UNKNOWN", "$(date)", "`date`", `\$A`, `"$A"`, "${A:-x}", "${A#t}", "$1", "$$",
		"$(codebuild-hash-files lock | cut -c1-8)", "$(codebuild-hash-files $A)",
		"$(codebuild-hash-files *)", "$(codebuild-hash-files link)",
		"$(codebuild-hash-files nothing)", "$(codebuild-hash-files hidden/lock)", "$(codebuild-hash-files)",
		"$(codebuild-hash-files lock; date)", "$(codebuild-hash-files 'a b')",
		"$(codebuild-hash-files ~/lock)", "$(codebuild-hash-files /etc/hostname)",
	} {
		if got, ok := c.compute(text); ok {
			t.Errorf("%s: got %q, want that it is unknown", text, got)
		}
	}
	p.Runtimes = []buildspec.Variable{{Name: "nodejs"}}
	if _, ok := c.compute("$A"); ok {
		t.Error("commands of the image may change a variable")
	}
}
