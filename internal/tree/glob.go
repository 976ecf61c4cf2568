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

// Glob returns the files of a tree that match one of the patterns, sorted: regular files
// and links to them. Patterns are relative to the root of the tree. Directories and files
// for which skip returns true are omitted.
func Glob(fsys fs.FS, patterns []string, skip func(name string) bool) ([]string, error) {
	var found []string
	for _, stem := range LiteralPrefixes(patterns) {
		if path.IsAbs(stem) || stem == ".." || strings.HasPrefix(stem, "../") {
			continue
		}
		err := fs.WalkDir(fsys, stem, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil && (name == stem || errors.Is(err, fs.ErrNotExist)):
				return nil // it does not exist, or was removed in the meantime
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

// matchesAny reports whether a name matches one of the patterns.
func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return Match(pattern, name) })
}

// isFile reports whether a name is a regular file, or a link that leads to one.
func isFile(fsys fs.FS, name string, d fs.DirEntry) bool {
	if d.Type()&fs.ModeSymlink == 0 {
		return d.Type().IsRegular()
	}
	info, err := fs.Stat(fsys, name)
	return err == nil && info.Mode().IsRegular()
}

// Hash returns the SHA-256 of the concatenated SHA-256 of each file, in order, in
// hexadecimal digits. How CodeBuild computes the hash of several files is not documented.
func Hash(fsys fs.FS, names []string) (string, error) {
	all := sha256.New()
	for _, name := range names {
		if err := hashFile(fsys, name, all); err != nil {
			return "", fmt.Errorf("hash %s: %w", name, err)
		}
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

// hashFile writes the hash of a file. Hashing hashes keeps the boundaries between files.
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
