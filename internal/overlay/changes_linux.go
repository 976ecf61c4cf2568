package overlay

import (
	"context"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
	"time"
)

// Changes returns the changes of an upper layer. exists reports whether the lower layers have a name,
// and whether it is a directory there. Directories that cannot be read are left out.
func Changes(ctx context.Context, upper string, exists func(name string) (there, dir bool)) ([]Change, error) {
	var all []Change
	err := filepath.WalkDir(upper, func(file string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		name, relErr := filepath.Rel(upper, file)
		if err != nil || relErr != nil || name == "." {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return nil // removed meanwhile
		}
		there, dir := exists(filepath.ToSlash(name))
		switch {
		case isWhiteout(info):
			if there {
				all = append(all, Change{Name: filepath.ToSlash(name), Removed: true, Time: changedAt(info)})
			}
		case !info.IsDir():
			all = append(all, Change{
				Name: filepath.ToSlash(name), New: !there, Files: 1, Bytes: info.Size(), Time: changedAt(info),
			})
		case !there || !dir:
			c := sum(file)
			c.Name, c.New = filepath.ToSlash(name)+"/", !there
			all = append(all, c)
			return fs.SkipDir
		}
		return nil
	})
	return all, err
}

// sum adds up everything in a new directory.
func sum(dir string) Change {
	var c Change
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := entry.Info(); err == nil {
			if at := changedAt(info); at.After(c.Time) {
				c.Time = at
			}
			if !info.IsDir() && !isWhiteout(info) {
				c.Files, c.Bytes = c.Files+1, c.Bytes+info.Size()
			}
		}
		return nil
	})
	return c
}

// isWhiteout reports whether a file of a layer hides that of lower layers.
func isWhiteout(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode()&fs.ModeCharDevice != 0 && stat.Rdev == 0
}

// changedAt returns when the content or the attributes of a file changed.
func changedAt(info fs.FileInfo) time.Time {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(stat.Ctim.Unix())
	}
	return info.ModTime()
}

// Exists returns a function for Changes that looks into directories, the highest first.
func Exists(layers ...string) func(name string) (there, dir bool) {
	return func(name string) (bool, bool) {
		for _, layer := range layers {
			info, err := os.Lstat(filepath.Join(layer, filepath.FromSlash(name)))
			if err == nil {
				return !isWhiteout(info), info.IsDir()
			}
			// A higher layer may have hidden the directory that the name is in.
			for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
				if info, err := os.Lstat(filepath.Join(layer, filepath.FromSlash(parent))); err == nil && isWhiteout(info) {
					return false, false
				}
			}
		}
		return false, false
	}
}
