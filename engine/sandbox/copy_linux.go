package sandbox

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// copy packs or unpacks a tree inside, and answers when it is done.
func (s *server) copy(r request, stream *os.File) {
	if r.Op == "unpack" {
		err := unpack(r.Path, stream)
		stream.Close()
		s.done(r.ID, err)
		return
	}
	name, err := filepath.EvalSymlinks(r.Path)
	if err != nil {
		stream.Close()
		s.fault(r.ID, err)
		return
	}
	_ = s.send(answer{ID: r.ID, Name: name})
	w := bufio.NewWriterSize(stream, 1<<20)
	err = errors.Join(pack(name, w), w.Flush())
	stream.Close()
	s.done(r.ID, err)
}

func (s *server) done(id int, err error) {
	if err != nil {
		s.fault(id, err)
		return
	}
	_ = s.send(answer{ID: id, Done: true})
}

// unpack writes a tar stream below dir. No name leaves it, also not by a link
// that the stream makes.
func unpack(dir string, from io.Reader) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	r := tar.NewReader(from)
	var times []*tar.Header // of directories, which change while they are filled
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if path.IsAbs(h.Name) || !filepath.IsLocal(strings.TrimSuffix(h.Name, "/")) {
			return fmt.Errorf("copy in %q: the name leaves its directory", h.Name)
		}
		if err := unpackOne(root, h, r); err != nil {
			return fmt.Errorf("copy in %s: %w", h.Name, err)
		}
		if h.Typeflag == tar.TypeDir {
			times = append(times, h)
		}
	}
	for i := len(times) - 1; i >= 0; i-- {
		if err := root.Chtimes(times[i].Name, time.Time{}, times[i].ModTime); err != nil {
			return err
		}
	}
	_, err = io.Copy(io.Discard, from)
	return err
}

func unpackOne(root *os.Root, h *tar.Header, text io.Reader) error {
	name := filepath.Clean(h.Name)
	mode := fs.FileMode(h.Mode) & fs.ModePerm
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	var err error
	switch h.Typeflag {
	case tar.TypeDir:
		err = root.MkdirAll(name, 0o755)
	case tar.TypeReg:
		err = unpackFile(root, name, text)
	case tar.TypeSymlink:
		_ = root.Remove(name)
		return errors.Join(root.Symlink(h.Linkname, name), own(root, name, h), linkTime(root, name, h.ModTime))
	case tar.TypeLink:
		_ = root.Remove(name)
		return root.Link(filepath.Clean(h.Linkname), name)
	case tar.TypeFifo:
		return mkfifo(root, name, mode)
	default:
		return nil // devices are not for builds to bring
	}
	if err != nil {
		return err
	}
	special := fs.FileMode(0)
	for bit, special1 := range map[int64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if h.Mode&bit != 0 {
			special |= special1
		}
	}
	return errors.Join(own(root, name, h), root.Chmod(name, mode|special), root.Chtimes(name, time.Time{}, h.ModTime))
}

func unpackFile(root *os.Root, name string, text io.Reader) error {
	_ = root.Remove(name)
	file, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, text)
	return errors.Join(err, file.Close())
}

// own gives a file its owner, where the sandbox has one of that number.
func own(root *os.Root, name string, h *tar.Header) error {
	err := root.Lchown(name, h.Uid, h.Gid)
	if errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

// linkTime sets the time of a link, not of what it leads to.
func linkTime(root *os.Root, name string, at time.Time) error {
	dir, err := root.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	stamp := unix.NsecToTimespec(at.UnixNano())
	return unix.UtimesNanoAt(int(dir.Fd()), filepath.Base(name), []unix.Timespec{stamp, stamp}, unix.AT_SYMLINK_NOFOLLOW)
}

func mkfifo(root *os.Root, name string, mode fs.FileMode) error {
	dir, err := root.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	return unix.Mknodat(int(dir.Fd()), filepath.Base(name), unix.S_IFIFO|uint32(mode), 0)
}

// pack writes what stands at name: a directory as "./" and its content, a file as
// one entry.
func pack(name string, to io.Writer) error {
	w := tar.NewWriter(to)
	linked := map[[2]uint64]string{}
	info, err := os.Lstat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errors.Join(packOne(w, name, filepath.Base(name), info, linked), w.Close())
	}
	err = filepath.WalkDir(name, func(file string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		rel, err := filepath.Rel(name, file)
		if err != nil {
			return err
		}
		if rel == "." {
			rel = ""
		}
		return packOne(w, file, "./"+rel, info, linked)
	})
	return errors.Join(err, w.Close())
}

func packOne(w *tar.Writer, file, name string, info fs.FileInfo, linked map[[2]uint64]string) error {
	if info.Mode()&(fs.ModeSocket|fs.ModeDevice) != 0 {
		return nil
	}
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		var err error
		if target, err = os.Readlink(file); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	h.Name, h.Format, h.Uname, h.Gname = name, tar.FormatPAX, "", ""
	h.AccessTime, h.ChangeTime = time.Time{}, time.Time{}
	if info.IsDir() && !strings.HasSuffix(h.Name, "/") {
		h.Name += "/"
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink > 1 && info.Mode().IsRegular() {
		key := [2]uint64{uint64(stat.Dev), stat.Ino}
		if first, seen := linked[key]; seen {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
			return w.WriteHeader(h)
		}
		linked[key] = name
	}
	if !info.Mode().IsRegular() {
		return w.WriteHeader(h)
	}
	text, err := os.Open(file)
	if err != nil {
		return err
	}
	defer text.Close()
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.Copy(w, io.LimitReader(text, h.Size))
	if err == nil && n < h.Size { // it has become shorter
		_, err = io.CopyN(w, zeros{}, h.Size-n)
	}
	return err
}

// zeros stand for what a file lost while it was read.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
