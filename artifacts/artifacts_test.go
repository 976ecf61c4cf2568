package artifacts_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/internal/tree"
)

func TestPlace_Key(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]artifacts.Place{
		"MyArtifacts/id/MyArtifact.zip": {Path: "MyArtifacts", BuildID: "id", Name: "MyArtifact.zip", Zip: true},
		"MyArtifacts/id":                {Path: "MyArtifacts", BuildID: "id", Name: "/"},
		"":                              {Name: "/"},
		"name.zip":                      {Name: "name", Zip: true},
		"prefix/id/a/b.zip":             {Path: "path", Prefix: "/prefix/", BuildID: "id", Name: "a/b", Zip: true},
		"x":                             {Name: "x"},
	} {
		if got := p.Key(); got != want {
			t.Errorf("%+v: got %q, want %q", p, got, want)
		}
	}
}

// make writes files below a directory: a text that begins with "->" is a link.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(file), 0o755)
		if link, is := strings.CutPrefix(text, "->"); is {
			err = errors.Join(err, os.Symlink(link, file))
		} else {
			err = errors.Join(err, os.WriteFile(file, []byte(text), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// read returns the names and contents below a directory.
func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		below, _ := filepath.Rel(dir, name)
		if link, err := os.Readlink(name); err == nil {
			all[below] = "->" + link
			return nil
		}
		text, err := os.ReadFile(name)
		all[below] = string(text)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return all
}

func TestZip_IsReproducible(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"b/run": "#!/bin/sh\n", "a": strings.Repeat("x", 1<<20), "link": "->b/run", "ünï": "",
		"odd\xff": "y"})
	if err := os.Chmod(filepath.Join(dir, "b/run"), 0o755); err != nil {
		t.Fatal(err)
	}
	files := []tree.File{{Path: "a", Mode: 0o644}, {Path: "b/run", Mode: 0o755}, {Path: "link",
		Mode: fs.ModeSymlink | 0o777, Link: "b/run"}, {Path: "odd\xff", Mode: 0o600}, {Path: "ünï", Mode: 0o644}}
	var archives [2][]byte
	for i := range archives {
		file := filepath.Join(t.TempDir(), "x.zip")
		if err := artifacts.Zip(file, dir, files, nil); err != nil {
			t.Fatal(err)
		}
		archives[i], _ = os.ReadFile(file)
		if err := artifacts.Zip(file, dir, files, nil); err == nil {
			break // it must not replace one
		}
	}
	if len(archives[1]) > 0 && !bytes.Equal(archives[0], archives[1]) {
		t.Error("two archives of the same files differ")
	}
	r, err := zip.NewReader(bytes.NewReader(archives[0]), int64(len(archives[0])))
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, f := range r.File {
		content, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(content)
		got += f.Mode().String() + " " + f.Name + " " + f.Modified.Format("2006-01-02") + " " + string(text[:min(10,
			len(text))]) + "\n"
	}
	want := "-rw-r--r-- a 1980-01-01 xxxxxxxxxx\n-rwxr-xr-x b/run 1980-01-01 #!/bin/sh\n\nLrwxrwxrwx link 1980-01-01 " +
		"b/run\n-rw------- odd\xff 1980-01-01 y\n-rw-r--r-- ünï 1980-01-01 \n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if python, err := exec.LookPath("python3"); err == nil { // a reader of another program
		file := filepath.Join(t.TempDir(), "x.zip")
		if err := os.WriteFile(file, archives[0], 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(python, "-m", "zipfile", "-t",
			file).CombinedOutput(); err != nil || !strings.Contains(string(out), "Done testing") {
			t.Errorf("%v: %s", err, out)
		}
	}
}

func TestZip_FailureLeavesNoFile(t *testing.T) {
	t.Parallel()
	dir, to := t.TempDir(), t.TempDir()
	err := artifacts.Zip(filepath.Join(to, "x.zip"), dir, []tree.File{{Path: "gone"}}, nil)
	if left := read(t, to); err == nil || len(left) > 0 {
		t.Errorf("%v, left %v", err, left)
	}
}

func TestPut_ReplacesOnlyItsFiles(t *testing.T) {
	t.Parallel()
	dest, book := filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "books", "1.json")
	put := func(files map[string]string) error {
		t.Helper()
		from := t.TempDir()
		write(t, from, files)
		return artifacts.Put(from, dest, book, nil)
	}
	check := func(want map[string]string) {
		t.Helper()
		if diff := cmp.Diff(want, read(t, dest)); diff != "" {
			t.Error(diff)
		}
	}
	if err := put(map[string]string{"a": "1", "dir/b": "2", "dir/deep/c": "3", "link": "->a",
		"odd\xff": "4"}); err != nil {
		t.Fatal(err)
	}
	check(map[string]string{"a": "1", "dir/b": "2", "dir/deep/c": "3", "link": "->a", "odd\xff": "4"})
	write(t, dest, map[string]string{"theirs": "x", "dir/theirs": "y", "dir/b": "changed"})
	if err := put(map[string]string{"a": "new", "other/d": "5"}); err != nil {
		t.Fatal(err)
	}
	check(map[string]string{"a": "new", "other/d": "5", "theirs": "x", "dir/theirs": "y", "dir/b": "changed"})
	for name, files := range map[string]map[string]string{
		"theirs": {"a": "newer", "theirs": "z"},
		"dir":    {"a": "newer", "dir": "a file where they have a directory"},
		"dir/b":  {"a": "newer", "dir/b": "what they have changed"},
		"dir/b ": {"dir/b/x": "below it"},
	} {
		if err := put(files); err == nil || !strings.Contains(err.Error(),
			strings.TrimSpace(name)) || !strings.Contains(err.Error(), "nothing was changed there") {
			t.Errorf("%s: got %v", name, err)
		}
		check(map[string]string{"a": "new", "other/d": "5", "theirs": "x", "dir/theirs": "y", "dir/b": "changed"})
	}
	if err := put(map[string]string{"a/is/a/directory": "now", "other": "is a file now"}); err != nil {
		t.Fatal(err)
	}
	check(map[string]string{"a/is/a/directory": "now", "other": "is a file now", "theirs": "x", "dir/theirs": "y",
		"dir/b": "changed"})
	if err := put(map[string]string{}); err != nil {
		t.Fatal(err)
	}
	check(map[string]string{"theirs": "x", "dir/theirs": "y", "dir/b": "changed"})
	if _, err := os.Stat(filepath.Join(dest, "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a directory that was made for it is left")
	}
}

func TestPut_SingleFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"x.zip": "archive"})
	if err := artifacts.Put(filepath.Join(dir, "x.zip"), filepath.Join(dir, "out"), filepath.Join(dir, "book"),
		nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"x.zip": "archive"}, read(t, filepath.Join(dir, "out"))); diff != "" {
		t.Error(diff)
	}
}

func TestDiff_ByPath(t *testing.T) {
	t.Parallel()
	e := func(path, hash, mode string) artifacts.Entry {
		return artifacts.Entry{Path: path, SHA256: hash, Mode: mode}
	}
	before := artifacts.Manifest{Artifacts: []artifacts.Set{{Entries: []artifacts.Entry{e("same", "1", "0644"),
		e("changed", "1", "0644"), e("gone", "1", "0644"), e("mode", "1", "0644")}}}}
	after := artifacts.Manifest{Artifacts: []artifacts.Set{{Entries: []artifacts.Entry{e("same", "1", "0644"), e("changed",
		"2", "0644"), e("mode", "1", "0755")}}, {Identifier: "two", Entries: []artifacts.Entry{e("same", "1", "0644")}}}}
	got := ""
	for _, c := range artifacts.Diff(before, after) {
		got += c.Identifier + "/" + c.Path + map[bool]string{true: " -"}[c.After == nil] +
			map[bool]string{true: " +"}[c.Before == nil] + "\n"
	}
	if want := "/changed\n/gone -\n/mode\ntwo/same +\n"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestManifest_RoundTrip(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if m, err := artifacts.Read(dir); err != nil || len(m.Artifacts) > 0 {
		t.Errorf("no manifest: %v, %v", m, err)
	}
	files := []tree.File{{Path: "a", Size: 3, Mode: 0o4755, SHA256: "ab"}, {Path: "odd\xff"}, {Path: "secret"}}
	m := artifacts.Manifest{Artifacts: []artifacts.Set{{Identifier: "x", Dir: "d", Entries: artifacts.Entries(files,
		func(s string) string { return strings.ReplaceAll(s, "secret", "***") })}}}
	if err := m.Write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := artifacts.Read(dir)
	m.Version = 1
	if diff := cmp.Diff(m,
		got); err != nil || diff != "" || got.Artifacts[0].Size() != 3 ||
		got.Artifacts[0].Entries[1].Name() != "odd\xff" ||
		got.Artifacts[0].Entries[2].Path != "***" {
		t.Errorf("%v %s", err, diff)
	}
	for _, text := range []string{"{", `{"version": 2}`} {
		if err := os.WriteFile(filepath.Join(dir, artifacts.ManifestName), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := artifacts.Read(dir); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

// TestPut_ContinuesAfterKill checks a directory with files of the run before and of the run
// that was killed. Both are in the ledger.
func TestPut_ContinuesAfterKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	dest, book := filepath.Join(dir, "out"), filepath.Join(dir, "book")
	first, second := filepath.Join(dir, "1"), filepath.Join(dir, "2")
	write(t, first, map[string]string{"a": "1", "b": "1", "sub/c": "1"})
	write(t, second, map[string]string{"a": "2", "b": "2", "other/d": "2"})
	if err := artifacts.Put(first, dest, book, nil); err != nil {
		t.Fatal(err)
	}
	// A directory that cannot be written to stops it half-way, as a signal would.
	write(t, dest, map[string]string{"other": "in the way"})
	if err := artifacts.Put(second, dest, book, nil); err == nil {
		t.Fatal("nothing was in the way")
	}
	if err := os.Remove(filepath.Join(dest, "other")); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	if err := artifacts.Put(second, dest, book, nil); err != nil {
		t.Fatal(err)
	}
	latest, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	// As if it had been killed when half of the new files were there.
	both := strings.Replace(string(old), `"files":[`, `"files":[`+files(t, string(latest))+",", 1)
	if err := errors.Join(os.WriteFile(book, []byte(both), 0o644), os.Remove(filepath.Join(dest, "b")),
		os.RemoveAll(filepath.Join(dest, "other"))); err != nil {
		t.Fatal(err)
	}
	write(t, dest, map[string]string{"b": "1", "sub/c": "1"})
	if err := artifacts.Put(second, dest, book, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "2", "b": "2", "other/d": "2"}, read(t, dest)); diff != "" {
		t.Error(diff)
	}
}

// files returns the names of the files in a ledger.
func files(t *testing.T, ledger string) string {
	t.Helper()
	_, rest, found := strings.Cut(ledger, `"files":[`)
	list, _, closed := strings.Cut(rest, "]")
	if !found || !closed {
		t.Fatalf("a ledger is %s", ledger)
	}
	return list
}

func TestEntries_HideSecretsInPathsAndLinks(t *testing.T) {
	t.Parallel()
	files := []tree.File{{Path: "secret/link", Mode: fs.ModeSymlink | 0o777, Link: "/nowhere/secret"}}
	got := artifacts.Entries(files, func(text string) string { return strings.ReplaceAll(text, "secret", "***") })
	if want := []artifacts.Entry{{Path: "***/link", Mode: "0777", Link: "/nowhere/***"}}; cmp.Diff(want, got) != "" {
		t.Error(cmp.Diff(want, got))
	}
}
