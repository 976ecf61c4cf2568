package source

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

	"github.com/buildlocal/buildlocal/internal/regular"
)

// Tar writes all files the build sees as a tar stream, with names below prefix,
// owned by root. A hard link is a file of its own; sockets, devices and pipes
// are left out. Files may change meanwhile: one that is gone is left out, one
// that grew is cut and one that shrank is filled up with zeros.
func (s *Source) Tar(w io.Writer, prefix string) error {
	out := bufio.NewWriterSize(w, 1<<16)
	p := packer{tar: tar.NewWriter(out), root: s.Dir, prefix: strings.Trim(prefix, "/"), hide: map[string]bool{}, buffer: make([]byte, 1<<16)}
	for _, name := range s.Hide {
		p.hide[name] = true
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

// packer writes the files below root.
type packer struct {
	tar    *tar.Writer
	root   string
	prefix string
	hide   map[string]bool
	buffer []byte
}

// top writes the prefix, if there is one, and all below it.
func (p *packer) top() error {
	info, err := os.Stat(p.root)
	if err != nil {
		return err
	}
	if p.prefix == "" {
		return p.content("")
	}
	return p.directory("", info)
}

func (p *packer) host(name string) string {
	return filepath.Join(p.root, filepath.FromSlash(name))
}

func (p *packer) directory(name string, info fs.FileInfo) error {
	if err := p.header(name, info, ""); err != nil {
		return err
	}
	return p.content(name)
}

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
	return nil
}

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

func (p *packer) symlink(name string, info fs.FileInfo) error {
	target, err := os.Readlink(p.host(name))
	if err != nil {
		return unlessGone(err)
	}
	return p.header(name, info, target)
}

func (p *packer) file(name string) error {
	f, err := regular.Open(p.host(name))
	var other *regular.Error
	if errors.As(err, &other) {
		return nil // the file was replaced meanwhile
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

// body writes exactly size bytes, as the header promised.
func (p *packer) body(r io.Reader, size int64) error {
	n, err := io.CopyBuffer(p.tar, io.LimitReader(r, size), p.buffer)
	if err != nil {
		return err
	}
	_, err = io.CopyN(p.tar, zeros{}, size-n)
	return err
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

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

// nameless is a FileInfo without owner, device and further times.
type nameless struct{ fs.FileInfo }

// Sys returns nothing.
func (nameless) Sys() any { return nil }

// unlessGone returns err, or nil when it says that a file vanished or that a
// directory above it did.
func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return err
}
