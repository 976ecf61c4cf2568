// Package treecopy copies files and directories between this host and tar streams, which may be
// hostile, with the rules of cp.
package treecopy

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// Pack writes a file or directory as a tar stream, in which it has another name. All files belong
// to root, because a user of this host means nothing in the build.
func Pack(to io.Writer, source, name string) error {
	w := tar.NewWriter(to)
	err := filepath.WalkDir(source, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(source, file)
		if err != nil {
			return err
		}
		return packFile(w, file, path.Join(name, filepath.ToSlash(rel)), file == source)
	})
	if err != nil {
		return err
	}
	return w.Close()
}

// packFile writes one entry. A link that the user has named is followed; others stay links.
func packFile(w *tar.Writer, file, name string, named bool) error {
	stat := os.Lstat
	if named {
		stat = os.Stat
	}
	info, err := stat(file)
	if err != nil {
		return err
	}
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err = os.Readlink(file); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err) // such as a socket
	}
	h.Name, h.Uid, h.Gid, h.Uname, h.Gname = name, 0, 0, "", ""
	if info.IsDir() {
		h.Name += "/"
	}
	if err := w.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	content, err := os.Open(file)
	if err != nil {
		return err
	}
	defer content.Close()
	_, err = io.Copy(w, content)
	return err
}
