//go:build unix

package source

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pipe that git opened would end this test at its time limit.
func TestOpen_DoesNotWaitForFilesOfTheRepository(t *testing.T) {
	t.Parallel()
	for _, name := range []string{".gitignore", ".gitattributes", ".git/HEAD", ".git/config", ".git/index",
		".git/packed-refs", ".git/objects/info/alternates"} {
		dir := repo(t, map[string]string{"sub/a": "text"})
		file := filepath.Join(dir, name)
		must(t, os.RemoveAll(file))
		must(t, syscall.Mkfifo(file, 0o600))
		for _, in := range []string{dir, filepath.Join(dir, "sub")} {
			if _, err := Open(t.Context(), Options{Dir: in}); err == nil || !strings.Contains(err.Error(), "is a named pipe") {
				t.Errorf("%s: Open returns %v; want that it is a named pipe", name, err)
			}
			if s, err := Open(t.Context(), Options{Dir: in, Mode: All}); err != nil || s.Git != nil {
				t.Errorf("%s: Open of all files returns %v, %v", name, s, err)
			}
		}
	}
}
