package cache

import (
	"archive/tar"
	"io"
	"path"
	"strings"
)

// Extraction converts the stream of an entry to a stream for the root directory of a
// container. Files outside the paths of the buildspec are skipped (observed).
type Extraction struct {
	Paths Paths
	// Mounted reports whether a name is available without a copy; nil means that none is.
	Mounted func(name string) bool
	// OnOutside is called with the absolute path of each file outside Paths.
	OnOutside func(file string)
	// OnDanglingLink is called with the absolute path of each hard link whose file is not
	// copied. The link is skipped.
	OnDanglingLink func(file string)
	// Copied lists the files of the stream by their absolute paths, without directories.
	Copied []File

	written map[string]bool // names in the container's stream that a hard link can refer to
}

// Convert copies the stream of an entry. The error is that of one of the streams.
func (x *Extraction) Convert(from io.Reader, to io.Writer) error {
	r, w := tar.NewReader(from), tar.NewWriter(to)
	x.written = map[string]bool{}
	for {
		h, err := r.Next()
		if err == io.EOF {
			return w.Close()
		}
		if err != nil {
			return err
		}
		if !x.rename(h) {
			continue
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil { // nothing for entries without content
			return err
		}
	}
}

// rename gives an entry of the stream its name in the container, and reports whether it
// is to be copied.
func (x *Extraction) rename(h *tar.Header) bool {
	name := path.Clean(h.Name)
	isDir := h.Typeflag == tar.TypeDir
	switch {
	case x.Mounted != nil && x.Mounted(name):
		return false
	case x.Paths.Contain(name):
	case !isDir:
		x.OnOutside(x.Paths.PathOf(name))
		return false
	case !x.Paths.belowStem(name):
		return false // it exists in the container, or is created for its files
	}
	// Names in a tar stream are relative to the directory in which it is unpacked, here the
	// root. So are the targets of hard links, but not those of symbolic links.
	h.Name = strings.TrimPrefix(x.Paths.PathOf(name), "/")
	if h.Typeflag == tar.TypeLink {
		h.Linkname = strings.TrimPrefix(x.Paths.PathOf(path.Clean(h.Linkname)), "/")
		if !x.written[h.Linkname] {
			x.OnDanglingLink("/" + h.Name)
			return false
		}
	}
	if !isDir {
		x.written[h.Name] = true
		file := FileOf(h)
		file.Name = "/" + h.Name
		x.Copied = append(x.Copied, file)
	}
	return true
}
