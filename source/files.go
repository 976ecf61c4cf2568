package source

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// Files returns the names of all files the build sees, slash-separated below Dir, and a
// print that is another one when a file has changed, by its name, size, mode or time of
// change. Nothing is read. What cannot be looked at is left out.
func (s *Source) Files() (names []string, print string) {
	hidden := map[string]bool{".git": true}
	for _, name := range s.Hide {
		hidden[name] = true
	}
	sum := sha256.New()
	_ = filepath.WalkDir(s.Dir, func(path string, e fs.DirEntry, err error) error {
		name := filepath.ToSlash(strings.TrimPrefix(path, s.Dir+string(filepath.Separator)))
		switch {
		case hidden[name] && e != nil && e.IsDir():
			return fs.SkipDir
		case err != nil || hidden[name] || e.IsDir():
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return nil
		}
		names = append(names, name)
		fmt.Fprintf(sum, "%q %d %o %d\n", name, info.Size(), info.Mode(), info.ModTime().UnixNano())
		return nil
	})
	return names, hex.EncodeToString(sum.Sum(nil))
}
