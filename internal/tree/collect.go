package tree

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Source has files. Every engine.Container is a Source.
type Source interface {
	// CopyOut returns the file or directory at an absolute path as a tar stream: a directory
	// as "./" and then its content, a file as one entry. The error for a missing path is
	// fs.ErrNotExist.
	CopyOut(ctx context.Context, path string) (io.ReadCloser, error)
}

// Selection selects files as the section artifacts of a buildspec does. It has the meaning that
// CodeBuild gives the keys of the section, including that Exclude wins over Files.
type Selection struct {
	Root     string   // absolute directory to which relative paths refer
	Base     string   // directory, or pattern of directories; empty for Root
	Gap      bool     // two spaces in the line with Base, as CodeBuild writes it for reports
	Files    []string // patterns, absolute or relative to Base
	Exclude  []string // patterns of files to omit
	Discard  bool     // keep only the base names
	Symlinks bool     // keep links; otherwise their targets are copied
}

// File is a file that was collected.
type File struct {
	Path   string      // slash-separated, relative to the destination
	Size   int64       // bytes; 0 for a link
	Mode   fs.FileMode // permissions in the source, and fs.ModeSymlink for a link
	SHA256 string      // of the content, in hexadecimal digits; empty for a link
	Link   string      // target of a link, unchanged
}

// Errors of Collect, in CodeBuild's words (observed).
var (
	ErrNoMatch = errors.New("no matching artifact paths found")
	ErrNoBase  = errors.New("no matching base directory path found")
)

// Observer receives the progress of Collect.
type Observer struct {
	Say    func(format string, args ...any) // lines of the build log
	Copied func(files int, bytes int64)     // number and bytes of files copied so far, after each piece; may be nil
	// Bracketed is called once for each pattern with a character class that is also the exact
	// name of a file that exists, or of a directory with files; may be nil. See BracketNames.
	Bracketed func(pattern, name string)
}

// Collect writes the selected files below dest, an existing directory, and returns them
// sorted by path. Only files are collected; a pattern that names a directory matches
// nothing. Blocks of zeros become holes. If a file does not fit on the file system, nothing
// of it is written, and the error is a *NoSpaceError.
func Collect(ctx context.Context, src Source, s Selection, dest string, o Observer) ([]File, error) {
	root, err := os.OpenRoot(dest)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	c := &collector{
		src:     src,
		s:       s,
		root:    root,
		say:     o.Say,
		copied:  o.Copied,
		bracket: o.Bracketed,
		named:   map[string]bool{},
		taken:   map[string]File{},
		origin:  map[string]string{},
		matched: map[string]bool{},
		buffer:  make([]byte, BufferSize),
	}
	defer c.leave()
	bases, err := c.bases(ctx)
	if err != nil {
		return nil, err
	}
	for _, base := range bases {
		// The lines and their order are those of CodeBuild's log (observed).
		c.announce(base)
		if err := c.base(ctx, base); err != nil {
			return nil, err
		}
	}
	for _, pattern := range s.Files {
		// A pattern that matches nothing is silent in CodeBuild; only a plain path is reported.
		if IsLiteral(pattern) && !c.matched[pattern] {
			o.Say("Skipping invalid file path %s", pattern)
		}
	}
	if len(c.taken) == 0 {
		return nil, ErrNoMatch
	}
	o.Say("Found %d file(s)", len(c.taken))
	return c.files(), nil
}

// collector is the state of one call of Collect. It writes through os.Root, because names in the
// stream come from the build and may lead anywhere.
type collector struct {
	src     Source
	s       Selection
	root    *os.Root
	dir     string   // the directory that was written to last
	in      *os.Root // its handle, or nil
	say     func(string, ...any)
	reading string            // the base directory that is being read
	taken   map[string]File   // by path relative to the destination
	origin  map[string]string // absolute path in the source, by path relative to the destination
	matched map[string]bool   // patterns that have matched
	buffer  []byte
	copied  func(files int, bytes int64)
	bracket func(pattern, name string)
	named   map[string]bool // patterns for which bracket was called
	count   int             // number of files written
	bytes   int64           // written, including those of the current file
	data    int64           // bytes without holes
}

// bases returns the base directories, absolute or relative to Root.
func (c *collector) bases(ctx context.Context) ([]string, error) {
	base := c.s.Base
	if base == "" {
		base = "."
	}
	gap := ""
	if c.s.Gap {
		gap = " "
	}
	c.say("Expanding base directory path: %s%s", gap, base)
	c.say("Assembling file list")
	c.say("Expanding %s", base)
	found := []string{base}
	if !IsLiteral(base) {
		var err error
		if found, err = c.directories(ctx, base); err != nil {
			return nil, err
		}
	} else if exists, err := c.exists(ctx, base); err != nil {
		return nil, err
	} else if !exists {
		found = nil
	}
	if len(found) == 0 {
		c.say("Skipping invalid file path %s", base)
		return nil, fmt.Errorf("%w for %s", ErrNoBase, base)
	}
	return found, nil
}

// exists reports whether a directory exists. Root always does; for others, the beginning of
// a stream is read.
func (c *collector) exists(ctx context.Context, dir string) (bool, error) {
	if path.Clean(dir) == "." {
		return true, nil
	}
	// Reading the beginning of a stream is the only way to ask: a Source has no stat.
	found := false
	err := c.walk(ctx, c.place(dir), func(name string, h *tar.Header, _ io.Reader) error {
		found = name == "." && h.Typeflag == tar.TypeDir
		return ErrStop
	})
	return found, err
}

// directories returns the directories that match a pattern, sorted.
func (c *collector) directories(ctx context.Context, pattern string) ([]string, error) {
	stem := LiteralPrefix(pattern)
	var found []string
	err := c.walk(ctx, c.place(stem), func(name string, h *tar.Header, _ io.Reader) error {
		if full := path.Join(stem, name); h.Typeflag == tar.TypeDir && Match(pattern, full) {
			found = append(found, full)
		}
		return nil
	})
	slices.Sort(found)
	return found, err
}

// announce writes the lines that precede the search in one base directory.
func (c *collector) announce(base string) {
	c.say("Expanding file paths for base directory %s", base)
	c.say("Assembling file list")
	for _, pattern := range c.s.Files {
		c.say("Expanding %s", pattern)
	}
}

// place returns the absolute path of dir.
func (c *collector) place(dir string) string {
	if path.IsAbs(dir) {
		return path.Clean(dir)
	}
	return path.Join(c.s.Root, dir)
}

// base collects the matching files below one base directory.
func (c *collector) base(ctx context.Context, base string) error {
	place := c.place(base)
	c.reading = place
	var links []string // also hard links to files that are not selected, and files that may not fit
	// Only the directories that can contain matches are read: a stream of the whole container would be
	// gigabytes.
	for _, stem := range LiteralPrefixes(c.relative(place)) {
		err := c.walk(ctx, path.Join(place, stem), func(name string, h *tar.Header, content io.Reader) error {
			full := path.Join(stem, name)
			if h.Typeflag == tar.TypeDir || !c.wanted(place, full) {
				return nil
			}
			switch {
			case h.Typeflag == tar.TypeLink && c.retry(full, path.Join(stem, path.Clean(h.Linkname))):
				return nil
			case h.Typeflag == tar.TypeLink, h.Typeflag == tar.TypeSymlink && !c.s.Symlinks:
				links = append(links, full)
				return nil
			case h.Typeflag == tar.TypeReg && !c.checkSpace(h.Size):
				links = append(links, full)
				return nil
			}
			return c.take(full, h, content)
		})
		if err != nil {
			return err
		}
	}
	// Links are followed at the end, when all hard links have had a chance to be copies of selected
	// files.
	return c.follow(ctx, place, links)
}

// retry copies a file that has been collected under another name, as hard links are. It
// returns false if that is not possible.
func (c *collector) retry(name, other string) bool {
	taken, found := c.taken[other]
	// With discard-paths the name on disk differs from the name in the stream. The other name may
	// also be that of another file, which was beside the base directory or in another one.
	if !found || c.s.Discard || c.origin[other] != path.Join(c.reading, other) || resultName(name) != name {
		return false
	}
	to := filepath.FromSlash(name)
	if c.root.MkdirAll(filepath.Dir(to), 0o755) != nil || c.root.Link(filepath.FromSlash(other), to) != nil {
		return false // then it is read again
	}
	taken.Path = name
	c.taken[name], c.origin[name] = taken, path.Join(c.reading, name)
	return true
}

// relative returns the patterns relative to place. An absolute pattern becomes relative if
// it is below it.
func (c *collector) relative(place string) []string {
	var all []string
	for _, pattern := range c.s.Files {
		if path.IsAbs(pattern) {
			below, found := strings.CutPrefix(path.Clean(pattern), place+"/")
			if !found {
				continue
			}
			pattern = below
		}
		all = append(all, pattern)
	}
	return all
}

// wanted reports whether a file is selected, and records the patterns that match it. All patterns
// are tested even after a match, since each has to be recorded.
func (c *collector) wanted(place, name string) bool {
	for _, pattern := range c.s.Exclude {
		if Match(pattern, name) {
			return false
		}
	}
	wanted := false
	for _, pattern := range c.s.Files {
		below := strings.TrimPrefix(path.Clean(pattern), place+"/")
		if Match(below, name) {
			c.matched[pattern] = true
			wanted = true
		}
		if exact := BracketName(below, name); exact != "" && c.bracket != nil && !c.named[pattern] {
			c.named[pattern] = true
			c.bracket(pattern, exact)
		}
	}
	return wanted
}

// follow collects the targets of links. Links to directories and broken links are skipped.
// The target of a hard link may be a file that is not selected.
func (c *collector) follow(ctx context.Context, place string, links []string) error {
	for _, link := range links {
		if err := c.measure(ctx, path.Join(place, link)); err != nil {
			return err
		}
		err := c.walk(ctx, path.Join(place, link), func(_ string, h *tar.Header, content io.Reader) error {
			if h.Typeflag != tar.TypeReg {
				return ErrStop
			}
			return c.take(link, h, content)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// checkSpace reports whether a file of the given size certainly fits.
func (c *collector) checkSpace(size int64) bool {
	free, known := FreeSpace(c.root.Name())
	return !known || size <= free
}

// measure reads a file that is larger than the free space, before anything of it is
// written, and returns a *NoSpaceError if its data does not fit. Most of it may be holes,
// which a tar stream does not show.
func (c *collector) measure(ctx context.Context, place string) error {
	return c.walk(ctx, place, func(_ string, h *tar.Header, content io.Reader) error {
		if h.Typeflag != tar.TypeReg || c.checkSpace(h.Size) {
			return ErrStop
		}
		data, err := dataSize(content, c.buffer)
		if err == nil && !c.checkSpace(data) {
			err = c.noSpace(data)
		}
		return cmp.Or(err, ErrStop)
	})
}

// noSpace returns the error for a file that does not fit, with the given bytes of data.
func (c *collector) noSpace(data int64) error {
	free, _ := FreeSpace(c.root.Name())
	return &NoSpaceError{Dir: c.root.Name(), What: "files", Free: free + c.data, Need: data + c.data}
}

// take writes one file.
func (c *collector) take(name string, h *tar.Header, content io.Reader) error {
	if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeSymlink {
		return nil // a socket or device
	}
	from := path.Join(c.reading, name)
	if c.s.Discard {
		name = path.Base(name)
	}
	name = resultName(name)
	local := filepath.FromSlash(name)
	if err := c.clear(name); err != nil {
		return err
	}
	if err := c.enter(filepath.Dir(local)); err != nil {
		return err
	}
	local = filepath.Base(local)
	// With discard-paths, .. or several base directories, two files may have one name. The last
	// one wins.
	if _, again := c.taken[name]; again {
		if err := c.in.Remove(local); err != nil {
			return err
		}
	}
	taken := File{Path: name, Size: h.Size, Mode: fs.FileMode(h.Mode).Perm(), Link: h.Linkname}
	var err error
	if h.Typeflag == tar.TypeSymlink {
		taken.Mode |= fs.ModeSymlink
		err = c.in.Symlink(h.Linkname, local)
	} else {
		taken.SHA256, err = c.write(local, h, content)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	c.taken[name], c.origin[name] = taken, from
	return nil
}

// resultName returns the name of a collected file: its path without .. at the beginning, so
// that no file is outside of the destination.
func resultName(name string) string { return path.Clean("/" + name)[1:] }

// clear removes collected files that are in the way of another one: a file where it needs a
// directory, and a directory in its place.
func (c *collector) clear(name string) error {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if _, isFile := c.taken[dir]; isFile {
			c.leave()
			delete(c.taken, dir)
			return c.root.Remove(filepath.FromSlash(dir))
		}
	}
	info, err := c.root.Lstat(filepath.FromSlash(name))
	if err != nil || !info.IsDir() {
		return nil
	}
	below := len(c.taken)
	maps.DeleteFunc(c.taken, func(other string, _ File) bool { return strings.HasPrefix(other, name+"/") })
	if len(c.taken) == below {
		return nil // it differs in case: see errCase
	}
	c.leave()
	return c.root.RemoveAll(filepath.FromSlash(name))
}

// errCase is the error if two files differ only in case on a case-insensitive file system,
// where one would be lost.
var errCase = errors.New(
	"another file has the same name but for capital letters, which this file system does not tell apart; use a " +
		"case-sensitive one with --output",
)

// enter creates a directory and opens it. The next file is most likely in it too.
func (c *collector) enter(dir string) error {
	if c.in != nil && c.dir == dir {
		return nil
	}
	c.leave()
	err := c.root.MkdirAll(dir, 0o755)
	if err == nil {
		c.in, err = c.root.OpenRoot(dir)
	}
	c.dir = dir
	return err
}

// leave closes the directory that was written to last.
func (c *collector) leave() {
	if c.in != nil {
		_ = c.in.Close()
		c.in = nil
	}
}

// write writes a file and returns the hash of its content.
func (c *collector) write(local string, h *tar.Header, content io.Reader) (string, error) {
	mode := fs.FileMode(h.Mode).Perm() | 0o600 // the user must be able to read and remove it
	// O_EXCL: no file of this name was collected, so an existing one differs only in case.
	f, err := c.in.OpenFile(local, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return "", errCase
	}
	if err != nil {
		return "", err
	}
	// The hash is computed while copying, because artifacts can be larger than the memory and the disk
	// cache.
	hash := sha256.New()
	_, err = CopySparse(f, io.TeeReader(content, io.MultiWriter(hash, (*progress)(c))), c.buffer)
	if isFull(err) {
		err = c.noSpace(h.Size) // another process has filled the disk in the meantime
	}
	info, statErr := f.Stat()
	err = errors.Join(err, f.Chmod(mode), statErr, f.Close())
	if err == nil {
		c.count, c.data = c.count+1, c.data+Allocated(info)
		err = c.in.Chtimes(local, h.ModTime, h.ModTime)
	}
	return hex.EncodeToString(hash.Sum(nil)), err
}

// progress counts the bytes that a collector copies.
type progress collector

// Write implements io.Writer.
func (p *progress) Write(piece []byte) (int, error) {
	p.bytes += int64(len(piece))
	if p.copied != nil {
		p.copied(p.count, p.bytes)
	}
	return len(piece), nil
}

// files returns the collected files in a stable order, which the manifest and the archive keep.
func (c *collector) files() []File {
	files := make([]File, 0, len(c.taken))
	for _, f := range c.taken {
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files
}

// walk is Walk for the source of the collector.
func (c *collector) walk(ctx context.Context, place string, visit Visit) error {
	return Walk(ctx, c.src, place, visit)
}
