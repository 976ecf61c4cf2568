package tree

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Glob returns the files of a tree that match one of the patterns, sorted: those that
// are regular, and links to such. Patterns are relative to its root. A directory that
// skip reports is left out, and so is a file.
func Glob(fsys fs.FS, patterns []string, skip func(name string) bool) ([]string, error) {
	var found []string
	for _, stem := range LiteralPrefixes(patterns) {
		if path.IsAbs(stem) || stem == ".." || strings.HasPrefix(stem, "../") {
			continue
		}
		err := fs.WalkDir(fsys, stem, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil && (name == stem || errors.Is(err, fs.ErrNotExist)):
				return nil // there is none, or it is gone meanwhile
			case err != nil:
				return err
			case skip != nil && skip(name):
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			case !d.IsDir() && matchesAny(patterns, name) && isFile(fsys, name, d):
				found = append(found, name)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(found)
	return found, nil
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return Match(pattern, name) })
}

func isFile(fsys fs.FS, name string, d fs.DirEntry) bool {
	if d.Type()&fs.ModeSymlink == 0 {
		return d.Type().IsRegular()
	}
	info, err := fs.Stat(fsys, name)
	return err == nil && info.Mode().IsRegular()
}

// Hash returns the SHA-256 of the SHA-256 of each file, in their order, as hexadecimal
// digits. How the service makes one of several files is not documented.
func Hash(fsys fs.FS, names []string) (string, error) {
	all := sha256.New()
	for _, name := range names {
		if err := hashFile(fsys, name, all); err != nil {
			return "", fmt.Errorf("hash %s: %w", name, err)
		}
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

func hashFile(fsys fs.FS, name string, to io.Writer) error {
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	one := sha256.New()
	if _, err := io.Copy(one, f); err != nil {
		return err
	}
	_, err = to.Write(one.Sum(nil))
	return err
}
