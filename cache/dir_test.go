//go:build unix

package cache_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/cache"
)

// write makes files with their directories; a name that ends in a slash is a directory.
func write(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		full := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(full), 0o755)
		if err == nil && strings.HasSuffix(name, "/") {
			err = os.MkdirAll(full, 0o755)
		} else if err == nil {
			err = os.WriteFile(full, []byte("precious"), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// tree returns all names below a directory.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		all = append(all, strings.TrimPrefix(name, dir))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// everything calls all methods that remove files.
func everything(p *place, t *testing.T) {
	s := p.open(t)
	s.Sweep()
	for _, e := range s.List() {
		_ = s.Remove(e.ID)
	}
	_, _ = s.Evict(1, "")
}

func TestCheck_RefusesTheUsersDirectories(t *testing.T) {
	for name, files := range map[string][]string{
		"a file":                      {"notes.txt"},
		"a project":                   {"src/main.go"},
		"a directory with an entry":   {"photos/entry-2019/a.jpg", "photos/lock", "photos/album"},
		"names that are nearly ours":  {"photos/entry-old/a.jpg", "photos/lock"},
		"an entry beside other files": {"app/entry-1/entry.json", "app/lock", "notes.txt"},
		"no lock":                     {"app/entry-1/entry.json"},
		"names of ours":               {"photos/entry-2019/a.jpg", "photos/lock"},
		"an entry with other files":   {"photos/entry-2019/entry.json", "photos/entry-2019/a.jpg", "photos/lock"},
		"names of leftovers of ours":  {"photos/saving-2019/a.jpg", "photos/removing-entry-2019/a.jpg", "photos/lock"},
		"a marker that is none":       {".buildlocal-cache/", "x"},
	} {
		p := newPlace(t)
		write(t, p.dir, files...)
		before := tree(t, p.dir)
		var foreign *cache.ForeignError
		if err := cache.Check(p.dir); !errors.As(err, &foreign) {
			t.Errorf("%s: Check returns %v; want a ForeignError", name, err)
		}
		_, err := p.open(t).Save(t.Context(), p.saving(keyed("k")), stream(t, "src/deps/x", "x"))
		if !errors.As(err, &foreign) {
			t.Errorf("%s: Save returns %v; want a ForeignError", name, err)
		}
		everything(p, t)
		if after := tree(t, p.dir); !slices.Equal(before, after) {
			t.Errorf("%s: %q became %q", name, before, after)
		}
	}
}

func TestCheck_KnowsDirectoriesOfEarlierVersions(t *testing.T) {
	p := newPlace(t)
	p.save(t, keyed("1"), "src/deps/x", "x")
	write(t, p.dir, ".local/app/custom/", ".local/app/custom.lock")
	if err := os.Remove(filepath.Join(p.dir, ".buildlocal-cache")); err != nil {
		t.Fatal(err)
	}
	if err := cache.Check(p.dir); err != nil {
		t.Fatal(err)
	}
	find(t, p.open(t), keyed("1"))
	p.save(t, keyed("2"), "src/deps/x", "x")
	write(t, p.dir, "a-file-that-came-later")
	if err := cache.Check(p.dir); err != nil {
		t.Errorf("it is not marked by a build: %v", err)
	}
}

func TestRemove_SparesTheUsersFilesAmongCaches(t *testing.T) {
	p := newPlace(t)
	p.save(t, keyed("1"), "src/deps/x", "x")
	outside := t.TempDir()
	write(t, outside, "entry.json", "src/precious", "lock")
	write(
		t, p.dir, "notes.txt", "photos/entry-2019/a.jpg", "app/entry-2020/a.jpg", "app/entry-2021/entry.json",
		"app/entry-2021/a.jpg", "app/entry-old/entry.json", "app/saving-2022/a.jpg", "app/saving-2023/src/a.jpg",
		"app/removing-2024/lock", "app/removing-entry-2025/src/a.jpg", "app/removing-entry-2026/a.jpg",
		"app/removing-entry-2026/lock",
	)
	for _, link := range []string{"app/entry-1", "app/saving-1", "app/removing-entry-1", "linked"} {
		if err := os.Symlink(outside, filepath.Join(p.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	before := append(tree(t, p.dir), tree(t, outside)...)
	ours := filepath.Base(p.open(t).List()[0].Dir())
	everything(p, t)
	after := append(tree(t, p.dir), tree(t, outside)...)
	want := slices.DeleteFunc(before, func(name string) bool { return strings.HasPrefix(name, "/app/"+ours) })
	if !slices.Equal(after, want) {
		t.Errorf("left is %q; want %q", after, want)
	}
}

func TestSave_DoesNotFollowALinkOfItsScope(t *testing.T) {
	p := newPlace(t)
	p.save(t, cache.Name{Scope: "other", Paths: name.Paths, Arch: "amd64"}, "src/deps/x", "x")
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(p.dir, "app")); err != nil {
		t.Fatal(err)
	}
	if _, err := p.open(t).Save(t.Context(), p.saving(name), stream(t, "src/deps/x", "x")); err == nil ||
		!strings.Contains(err.Error(), "is not a directory") {
		t.Errorf("got %v; want that it is not a directory", err)
	}
	if left := tree(t, outside); len(left) != 1 {
		t.Errorf("it wrote through the link: %q", left)
	}
}

// TestFind_TakesNothingFromElsewhere has entries whose lists have names outside.
func TestFind_TakesNothingFromElsewhere(t *testing.T) {
	for listed, make := range map[string]func(dir, outside string) error{
		"src/../../../secret": func(string, string) error { return nil },
		"/etc/passwd":         func(string, string) error { return nil },
		"src/out/secret": func(dir, outside string) error {
			return os.Symlink(outside, filepath.Join(dir, "src", "out"))
		},
	} {
		p := newPlace(t)
		dir := p.save(t, name, "src/deps/x", "x").Dir()
		write(t, p.dir, "secret")
		if err := make(dir, p.dir); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(p.dir, "secret"))
		if err != nil {
			t.Fatal(err)
		}
		forge(
			t,
			dir,
			[]cache.File{
				{Name: "src", Kind: '5', Mode: 0o755},
				{Name: listed, Kind: '0', Mode: 0o644, Size: info.Size(), Time: info.ModTime().UnixNano()},
			},
		)
		if e, err := p.open(t).Find(t.Context(), name); err == nil {
			t.Errorf("%s: found %v", listed, e.List())
		}
		if !strings.Contains(p.warned.String(), "its list of files has the name") {
			t.Errorf("%s: it says %q", listed, p.warned)
		}
	}
}

// forge replaces the list of files of an entry.
func forge(t *testing.T, dir string, files []cache.File) {
	t.Helper()
	index := cache.EncodeList(files)
	sum := sha256.Sum256(index)
	text, err := os.ReadFile(filepath.Join(dir, "entry.json"))
	var entry map[string]any
	err = errors.Join(err, json.Unmarshal(text, &entry))
	entry["index"] = hex.EncodeToString(sum[:])
	text, marshal := json.Marshal(entry)
	err = errors.Join(
		err, marshal, os.WriteFile(filepath.Join(dir, "entry.json"), text, 0o600),
		os.WriteFile(filepath.Join(dir, "index"), index, 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
}

func TestLocal_WaitsForNoFile(t *testing.T) {
	for _, file := range []string{
		"app/lock", "app/entry/lock", "app/entry/entry.json", "app/entry/index", "app/entry/used.json",
		".buildlocal-cache",
	} {
		for kind, put := range map[string]func(name string) error{
			"pipe":      func(name string) error { return syscall.Mkfifo(name, 0o600) },
			"zeros":     func(name string) error { return os.Symlink("/dev/zero", name) },
			"directory": func(name string) error { return os.Mkdir(name, 0o700) },
			"socket": func(name string) error {
				l, err := net.Listen("unix", filepath.Join(os.TempDir(), "buildlocal-test-socket"))
				if err != nil {
					return err
				}
				t.Cleanup(func() { l.Close() })
				return os.Rename(l.Addr().String(), name)
			},
		} {
			p := newPlace(t)
			entry := filepath.Base(p.save(t, name, "src/deps/x", "x").Dir())
			at := filepath.Join(p.dir, strings.Replace(file, "/entry/", "/"+entry+"/", 1))
			_ = os.Remove(at)
			if err := put(at); err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				s := p.open(t)
				_, _ = s.Find(t.Context(), name)
				_, _ = s.Save(t.Context(), p.saving(name), stream(t, "src/deps/x", "x"))
				everything(p, t)
				_ = s.Close()
			}()
			select {
			case <-done:
			case <-time.After(time.Minute):
				t.Fatalf("%s as %s: it does not end", file, kind)
			}
		}
	}
}
