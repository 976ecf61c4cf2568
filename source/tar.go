package source

import (
	"archive/tar"
	"bufio"
	"bytes"
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

	"github.com/buildlocal/buildlocal/internal/regular"
)

// Tar writes all files that the build sees as a tar stream, with names below prefix and root as
// their owner. Hard links become separate files; sockets, devices and pipes are left out. Files
// may change meanwhile: one that disappears is left out, one that grows is truncated to its
// initial size, and one that shrinks is padded with zeros.
func (s *Source) Tar(w io.Writer, prefix string) error {
	out := bufio.NewWriterSize(w, 1<<16)
	p := packer{tar: tar.NewWriter(out), root: s.Dir, prefix: strings.Trim(prefix, "/"), hide: map[string]bool{},
		replace: map[string]Replacement{}, buffer: make([]byte, 1<<16)}
	for _, name := range s.Hide {
		p.hide[name] = true
	}
	for _, r := range s.Replace {
		p.replace[r.Name] = r
	}
	if err := p.top(); err != nil {
		return fmt.Errorf("pack source: %w", err)
	}
	if err := p.tar.Close(); err != nil {
		return fmt.Errorf("pack source: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("pack source: %w", err)
	}
	return nil
}

// packer writes the files below root to a tar stream.
type packer struct {
	tar     *tar.Writer
	root    string
	prefix  string
	hide    map[string]bool
	replace map[string]Replacement // by name; those that are written are removed
	buffer  []byte                 // for copying file contents

	modified time.Time // of the root, and of replacements
}

// top writes the prefix, if it is set, and everything below it.
func (p *packer) top() error {
	info, err := os.Stat(p.root)
	if err != nil {
		return err
	}
	p.modified = info.ModTime()
	if p.prefix == "" {
		return p.content("")
	}
	return p.directory("", info)
}

// host returns the path of a source file on the host.
func (p *packer) host(name string) string {
	return filepath.Join(p.root, filepath.FromSlash(name))
}

// directory writes a directory and its contents.
func (p *packer) directory(name string, info fs.FileInfo) error {
	if err := p.header(name, info, ""); err != nil {
		return err
	}
	return p.content(name)
}

// content writes the contents of a directory, except hidden names.
func (p *packer) content(name string) error {
	entries, err := os.ReadDir(p.host(name))
	if err != nil {
		return unlessGone(err)
	}
	for _, e := range entries {
		below := path.Join(name, e.Name())
		if p.hide[below] {
			continue
		}
		if err := p.entry(below, e); err != nil {
			return err
		}
	}
	for below, r := range p.replace { // files that the directory does not have
		if path.Dir(below) == path.Clean(name) || name == "" && path.Dir(below) == "." {
			if err := p.replacement(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// replacement writes a file that replaces another one.
func (p *packer) replacement(r Replacement) error {
	delete(p.replace, r.Name)
	contents, size, err := r.open()
	if err != nil {
		return err
	}
	defer contents.Close()
	h := &tar.Header{
		Format: tar.FormatPAX, Typeflag: tar.TypeReg, Name: path.Join(p.prefix, r.Name), Mode: int64(r.Mode.Perm()),
		Size: size, ModTime: p.modified,
	}
	if err := p.tar.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.CopyBuffer(p.tar, contents, p.buffer)
	return err
}

// open returns the contents and their size.
func (r Replacement) open() (io.ReadCloser, int64, error) {
	if r.File == "" {
		return io.NopCloser(bytes.NewReader(r.Text)), int64(len(r.Text)), nil
	}
	f, err := os.Open(r.File)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// entry writes one directory entry, or nothing for special files.
func (p *packer) entry(name string, e fs.DirEntry) error {
	if e.Type().IsRegular() {
		return p.file(name)
	}
	info, err := e.Info()
	if err != nil {
		return unlessGone(err)
	}
	switch info.Mode().Type() {
	case fs.ModeDir:
		return p.directory(name, info)
	case fs.ModeSymlink:
		return p.symlink(name, info)
	}
	return nil
}

// symlink writes a symbolic link.
func (p *packer) symlink(name string, info fs.FileInfo) error {
	target, err := os.Readlink(p.host(name))
	if err != nil {
		return unlessGone(err)
	}
	return p.header(name, info, target)
}

// file writes a regular file.
func (p *packer) file(name string) error {
	if r, replaced := p.replace[name]; replaced {
		return p.replacement(r)
	}
	f, err := regular.Open(p.host(name))
	var other *regular.Error
	if errors.As(err, &other) {
		return nil // the file was replaced by a special file meanwhile
	}
	if err != nil {
		return unlessGone(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	if err := p.header(name, info, ""); err != nil {
		return err
	}
	return p.body(f, info.Size())
}

// body writes exactly size bytes, as the header requires.
func (p *packer) body(r io.Reader, size int64) error {
	n, err := io.CopyBuffer(p.tar, io.LimitReader(r, size), p.buffer)
	if err != nil {
		return err
	}
	_, err = io.CopyN(p.tar, zeros{}, size-n)
	return err
}

// zeros is an endless stream of zero bytes.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// header writes the header of an entry. target is the destination of a symlink.
func (p *packer) header(name string, info fs.FileInfo, target string) error {
	h, err := tar.FileInfoHeader(nameless{info}, target)
	if err != nil {
		return err
	}
	h.Format = tar.FormatPAX
	h.Name = path.Join(p.prefix, name)
	if info.IsDir() {
		h.Name += "/"
	}
	return p.tar.WriteHeader(h)
}

// nameless hides the system-specific fields of a FileInfo: owner, device and further times.
type nameless struct{ fs.FileInfo }

// Sys returns nil.
func (nameless) Sys() any { return nil }

// unlessGone returns nil if err means that a file, or a directory above it, no longer exists.
func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return err
}
