package overlay

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Hide fills the directory dir, a layer to be mounted above lower, with whiteouts for the
// given slash-separated names below lower. A whiteout is a character device with the
// number 0/0. The parent directories of every name must exist in lower.
//
// The parent directories of a whiteout get the mode and times of those in lower, and so
// does dir itself, because an overlay shows the attributes of the highest layer. With
// chown they also get the owner, if the process may set it.
func Hide(dir, lower string, names []string, chown bool) error {
	parents := map[string]bool{".": true}
	for _, name := range names {
		for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
			parents[parent] = true
		}
		// Owner only: copyMetadata sets the mode once nothing is created in it any more.
		if err := os.MkdirAll(filepath.Join(dir, path.Dir(name)), 0o700); err != nil {
			return err
		}
		err := unix.Mknod(filepath.Join(dir, name), unix.S_IFCHR, int(unix.Mkdev(0, 0)))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("hide %s: %w", name, err)
		}
	}
	return copyParents(dir, lower, parents, chown)
}

// Put writes a file into the directory dir, a layer to be mounted above lower. As with Hide,
// its parent directories must exist in lower, and get their attributes; the file gets the
// owner of its directory. File must be on the same file system.
func Put(dir, lower string, f File, chown bool) error {
	name := filepath.FromSlash(f.Name)
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	write := func() error { return os.WriteFile(file, f.Text, f.Mode) }
	if f.File != "" {
		write = func() error { return os.Link(f.File, file) }
	}
	if err := errors.Join(write(), os.Chmod(file, f.Mode)); err != nil {
		return err
	}
	if info, err := os.Stat(filepath.Dir(filepath.Join(lower, name))); err == nil && chown {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			_ = os.Lchown(file, int(stat.Uid), int(stat.Gid)) // only root may
		}
	}
	parents := map[string]bool{".": true}
	for parent := path.Dir(f.Name); parent != "."; parent = path.Dir(parent) {
		parents[parent] = true
	}
	return copyParents(dir, lower, parents, chown)
}

// copyParents gives directories of a layer the attributes that they have in lower.
func copyParents(dir, lower string, parents map[string]bool, chown bool) error {
	for parent := range parents {
		info, err := os.Lstat(filepath.Join(lower, parent))
		if parent == "." { // the tree itself may be named by a link
			info, err = os.Stat(lower)
		}
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is not a directory", filepath.Join(lower, parent))
		}
		if err != nil {
			return err
		}
		if err := copyMetadata(filepath.Join(dir, parent), info, chown); err != nil {
			return err
		}
	}
	return nil
}

// copyMetadata gives a directory the mode, the times and perhaps the owner of another one.
func copyMetadata(dir string, info fs.FileInfo, chown bool) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && chown {
		_ = os.Lchown(dir, int(stat.Uid), int(stat.Gid)) // only root may
	}
	// After chown, which clears the setuid and setgid bits.
	return errors.Join(os.Chmod(dir, info.Mode()), os.Chtimes(dir, info.ModTime(), info.ModTime()))
}

// opaqueAttributes mark directories that hide everything below them in lower layers. The
// prefix is user. for an overlay that a non-root user mounted. The kernel marks every new
// directory.
var opaqueAttributes = []string{"trusted.overlay.opaque", "user.overlay.opaque"}

// redirectAttributes mark directories that were renamed.
var redirectAttributes = []string{"trusted.overlay.redirect", "user.overlay.redirect"}

// metacopyAttributes mark files of which the layer has only the metadata: their content is
// still in a lower layer.
var metacopyAttributes = []string{"trusted.overlay.metacopy", "user.overlay.metacopy"}

// Written reports whether an upper layer has the whole content of a file with a
// slash-separated name. It follows links on the way; a caller who cannot trust the build
// opens the file without following them.
func Written(upper, name string) bool {
	file := filepath.Join(upper, filepath.FromSlash(name))
	info, err := os.Lstat(file)
	return err == nil && info.Mode().IsRegular() && !hasAny(file, metacopyAttributes)
}

func hasAny(file string, attributes []string) bool {
	return slices.ContainsFunc(attributes, func(name string) bool {
		_, err := unix.Lgetxattr(file, name, nil)
		return err == nil
	})
}

// Untouched reports whether an upper layer neither has nor hides anything at a
// slash-separated name, so that the lower layers are visible there unchanged. It returns
// false if the layer cannot be read.
func Untouched(upper, name string) bool {
	if _, err := os.Lstat(upper); err != nil {
		return false
	}
	parts := strings.Split(name, "/")
	for i := range parts {
		at := filepath.Join(upper, filepath.Join(parts[:i+1]...))
		info, err := os.Lstat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return true // and neither does anything below it
		case err != nil || !info.IsDir() || hasAny(at, opaqueAttributes) || hasAny(at, redirectAttributes):
			return false
		}
	}
	return false // name itself is in the layer
}

// maxSearched is the number of entries of an upper layer that MayHave looks at.
const maxSearched = 20_000

// MayHave reports whether an upper layer has a file with a matching base name at or below a
// slash-separated name. It returns true if the layer cannot be read completely, has too many
// entries, or has a directory that was renamed: its files are in a lower layer.
func MayHave(upper, name string, match func(name string) bool) bool {
	if _, err := os.Lstat(upper); err != nil {
		return true
	}
	found, left := errors.New("found"), maxSearched
	top := filepath.Join(upper, filepath.FromSlash(name))
	return filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		left--
		switch {
		case errors.Is(err, fs.ErrNotExist): // nothing was written there, or it was removed just now
			return nil
		case err != nil:
			return err
		case left < 0, e.Type().IsRegular() && match(e.Name()), e.IsDir() && hasAny(path, redirectAttributes):
			return found
		}
		return nil
	}) != nil
}
