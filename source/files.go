package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// Names returns the names of all files that the build sees, relative to Dir and separated by
// slashes. It leaves out files that cannot be examined, and the remaining files once ctx ends.
func (s *Source) Names(ctx context.Context) []string {
	var names []string
	s.Walk(ctx, func(name string, _ fs.DirEntry) { names = append(names, name) })
	return names
}

// Fingerprint returns the result of Names, and a hash that changes when the name, size, mode
// or modification time of any file does. It does not read the files.
func (s *Source) Fingerprint(ctx context.Context) (names []string, print string) {
	sum := sha256.New()
	s.Walk(ctx, func(name string, e fs.DirEntry) {
		names = append(names, name)
		if info, err := e.Info(); err == nil {
			fmt.Fprintf(sum, "%q %d %o %d\n", name, info.Size(), info.Mode(), info.ModTime().UnixNano())
		}
	})
	return names, hex.EncodeToString(sum.Sum(nil))
}

// Walk calls visit for every file that the build sees, except in .git. Names are
// slash-separated and relative to Dir.
func (s *Source) Walk(ctx context.Context, visit func(name string, e fs.DirEntry)) {
	s.walk(ctx, func(name string, e fs.DirEntry) {
		if !e.IsDir() {
			visit(name, e)
		}
	})
}

// walk is Walk for files and directories below Dir.
func (s *Source) walk(ctx context.Context, visit func(name string, e fs.DirEntry)) {
	hidden := map[string]bool{".git": true}
	for _, name := range s.Hide {
		hidden[name] = true
	}
	_ = filepath.WalkDir(s.Dir, func(path string, e fs.DirEntry, err error) error {
		name := filepath.ToSlash(strings.TrimPrefix(path, s.Dir+string(filepath.Separator)))
		switch {
		case ctx.Err() != nil:
			return fs.SkipAll
		case hidden[name] && e != nil && e.IsDir():
			return fs.SkipDir
		case err == nil && !hidden[name] && path != s.Dir:
			visit(name, e)
		}
		return nil
	})
}
