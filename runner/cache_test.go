package runner

import (
	"archive/tar"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/engine"
)

func TestPathsHaveNamesInAnEntry(t *testing.T) {
	const src = "/codebuild/output/src1/src"
	for path, want := range map[string]string{
		src: "src", src + "/a/b": "src/a/b", "/root/.m2": "root/root/.m2", "/": "root", src + "2/x": "root/codebuild/output/src1/src2/x",
	} {
		got := cacheName(src, path)
		if got != want {
			t.Errorf("%s is called %s, want %s", path, got, want)
		}
		if back := cachePlace(src, got); back != path {
			t.Errorf("%s is at %s, want %s", got, back, path)
		}
	}
	for pattern, want := range map[string]string{
		"a/**/*": "src/a/**/*", "./a": "src/a", "../x/*": "root/codebuild/output/src1/x/*", src + "/b/": "src/b", "/root/.npm/**/*": "root/root/.npm/**/*",
	} {
		if got := cachePattern(src, pattern); got != want {
			t.Errorf("%s: got %s, want %s", pattern, got, want)
		}
	}
}

func TestWhatTheShellWillExpandIsForeseen(t *testing.T) {
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
	p := &Plan{Cache: &buildspec.Cache{}, Variables: []Variable{{Name: "A", Value: "1"}, {Name: "B", Expand: true}, {Name: "A", Value: "2"}, {Name: "EMPTY"}}}
	p.Sources = []Source{{Tree: engine.Tree{Host: dir, Hide: []string{"hidden"}}}}
	b := &build{plan: p, values: []string{"one", "$x", "two words", ""}}
	const one = "9c2e4d8fe97d881430de4e754b4205b9c27ce96715231cffc4337340cb110280"
	for text, want := range map[string]string{
		"plain": "plain", "a-$A.$EMPTY${A}": "a-two words.two words", "$HOME/x": "/root/x", "${HOME}y": "/rooty",
		"k-$(codebuild-hash-files lock)": "k-" + one, "$(codebuild-hash-files 'lock'  \"lock\" )": one,
	} {
		if got, sure := b.foreseeText(text); !sure || got != want {
			t.Errorf("%s: got %q, %v, want %q", text, got, sure, want)
		}
	}
	if all, sure := b.foreseeText("$(codebuild-hash-files '**/lock')"); !sure || len(all) != len(one) || all == one {
		t.Errorf("of two files: got %q, %v", all, sure)
	}
	for _, text := range []string{
		"$B", "$UNKNOWN", "$(date)", "`date`", `\$A`, `"$A"`, "${A:-x}", "${A#t}", "$1", "$$", "$(codebuild-hash-files " +
			"lock | cut -c1-8)", "$(codebuild-hash-files $A)",
		"$(codebuild-hash-files *)", "$(codebuild-hash-files link)", "$(codebuild-hash-files " +
			"nothing)", "$(codebuild-hash-files hidden/lock)", "$(codebuild-hash-files)",
		"$(codebuild-hash-files lock; date)", "$(codebuild-hash-files 'a b')", "$(codebuild-hash-files " +
			"~/lock)", "$(codebuild-hash-files /etc/hostname)",
	} {
		if got, sure := b.foreseeText(text); sure {
			t.Errorf("%s: is sure to be %q", text, got)
		}
	}
	p.Runtimes = []buildspec.Variable{{Name: "nodejs"}}
	if _, sure := b.foreseeText("$A"); sure {
		t.Error("commands of the image may change a variable")
	}
}

func TestListsOfFilesAreRead(t *testing.T) {
	const gnu = "f 644 0 1000 5 1000000000.0000000050 1000000001.5000000000 1 /a b\nc\x00\x00" +
		"d 1777 0 0 4096 1.5 2 2 /tmp\x00\x00" + "l 777 0 0 1 -1.0000000000 2.0000000000 1 /l\x00to " +
			"here\x00" + "p 644 0 0 0 1.0 2.0 1 /pipe\x00\x00"
	all, known := readGNU([]byte(gnu))
	if !known || len(all) != 3 {
		t.Fatalf("%v, %v", all, known)
	}
	type row struct {
		place, link             string
		kind                    byte
		mode, size, time, state int64
		uid, gid                int
	}
	var got []row
	for _, f := range all {
		got = append(got, row{f.place, f.Link, f.Kind, f.Mode, f.Size, f.Time, f.status, f.UID, f.GID})
	}
	want := []row{
		{"/a b\nc", "", tar.TypeReg, 0o644, 5, 1e18 + 5, 1000000001500000000, 0, 1000}, {"/tmp", "", tar.TypeDir, 0o1777, 4096, 1500000000, 2e9, 0, 0},
		{"/l", "to here", tar.TypeSymlink, 0o777, 1, -1e9, 2e9, 0, 0},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(row{})); diff != "" {
		t.Error(diff)
	}
	all, known = readStat([]byte("81a4 0 0 5 1000000000 1000000001 1 /a b\n41ed 0 0 4096 1 2 2 /d\n"))
	if !known || len(all) != 2 || all[0].place != "/a b" || all[0].Mode != 0o644 || all[0].status != 1000000001e9 || all[1].Kind != tar.TypeDir {
		t.Errorf("%+v, %v", all, known)
	}
	for _, text := range []string{"f 644 0 0 5 1.0 2.0 1 /a", "f 644 0 0 5 1.0\x00\x00", "f x 0 0 5 1.0 2.0 1 " +
		"/a\x00\x00", "f 644 0 0 5 - 2.0 1 /a\x00\x00", "f 644 0 0 5 1.-5 2.0 1 /a\x00\x00x"} {
		if got, known := readGNU([]byte(text)); known {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
	for _, text := range []string{"a1ff 0 0 1 1 2 1 /link\n", "81a4 0 0 5 1 2 1\n", "81a4 0 0 5 1 2 1 /a\nb\n", "zzzz 0 0 5 1 2 1 /a\n"} {
		if got, known := readStat([]byte(text)); known {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

func FuzzLists(f *testing.F) {
	f.Add([]byte("f 644 0 1000 5 1000000000.0000000050 1000000001.5000000000 1 /a b\nc\x00\x00"))
	f.Add([]byte("81a4 0 0 5 1000000000 1000000001 1 /a b\n"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		readGNU(text)
		readStat(text)
	})
}
