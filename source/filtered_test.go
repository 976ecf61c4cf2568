package source

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// filtered returns a repository in which each *.bin file has a filter and is different on this
// host, as after git lfs pull.
func filtered(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := repo(t, files)
	write(t, dir, map[string]string{".gitattributes": "*.bin filter=lfs diff=lfs -text\n"})
	commit(t, dir)
	for name := range files {
		write(t, dir, map[string]string{name: "contents on this host"})
	}
	return dir
}

// texts returns the contents of all replacements, except HEAD.
func texts(t *testing.T, s *Source) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, r := range s.Replace {
		if r.File != "" {
			text, err := os.ReadFile(r.File)
			must(t, err)
			r.Text = text
		}
		if r.Name != ".git/HEAD" {
			all[r.Name] = string(r.Text)
		}
	}
	return all
}

func TestUnfiltered_AnySizeAndNumber(t *testing.T) {
	t.Parallel()
	files := map[string]string{"empty.bin": "", "line.bin": "\n", "two\nlines.bin": "x missing\n"}
	for i := range 2000 {
		files[fmt.Sprintf("many/%d.bin", i)] = fmt.Sprint("pointer ", i)
	}
	large := make([]byte, maxReplacementText+1)
	_, _ = rand.Read(large)
	files["large.bin"] = string(large)
	files["limit.bin"] = string(large[:maxReplacementText])
	temp := temp(t)
	got := mustOpen(t, Options{Dir: filtered(t, files), Temp: temp})
	same(t, texts(t, got), files)
	same(t, got.Unresolved, nil)
	same(t, got.Changed, 0) // the build sees the committed files
	same(t, len(names(t, temp)), 1)
}

func TestUnfiltered_MissingObject(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.bin": "1", "b.bin": "2", "c.bin": "3"}
	dir := filtered(t, files)
	id := gitIn(t, dir, "rev-parse", "HEAD:b.bin")
	object := filepath.Join(dir, ".git", "objects", id[:2], id[2:])
	for name, damage := range map[string]func() error{
		"missing": func() error { return os.Remove(object) },
		"damaged": func() error { return os.WriteFile(object, []byte("damaged"), 0o644) },
	} {
		must(t, damage())
		got := mustOpen(t, Options{Dir: dir})
		delete(files, "b.bin")
		same(t, texts(t, got), files)
		if len(got.Unresolved) != 1 || got.Unresolved[0] != "b.bin" {
			t.Errorf("%s: unresolved %q; want b.bin", name, got.Unresolved)
		}
	}
}

// In a partial clone git ends at the first object that it would have to fetch.
func TestUnfiltered_PartialClone(t *testing.T) {
	t.Parallel()
	origin := filtered(t, map[string]string{"a.bin": "1", "b.bin": "2", "c.bin": "3"})
	gitIn(t, origin, "config", "uploadpack.allowFilter", "true")
	dir := filepath.Join(temp(t), "partial")
	gitIn(t, origin, "clone", "-q", "--no-checkout", "--filter=blob:none", "file://"+origin, dir)
	gitIn(t, dir, "reset", "-q")                      // the index only
	gitIn(t, dir, "checkout", "--", ".gitattributes") // fetches this one
	gitIn(t, dir, "cat-file", "-e", "HEAD:b.bin")
	write(t, dir, map[string]string{"a.bin": "x", "b.bin": "x", "c.bin": "x"})
	got := mustOpen(t, Options{Dir: dir})
	same(t, texts(t, got), map[string]string{"b.bin": "2"})
	same(t, got.Unresolved, []string{"a.bin", "c.bin"})
}
