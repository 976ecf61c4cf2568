package apiproxy

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"
	"path"
	"strings"
)

// defaultDockerfile is the name if none is given. The engine also accepts it in lower case.
const defaultDockerfile = "Dockerfile"

// maxDockerfile bounds the length of a Dockerfile in bytes, which is held in memory.
const maxDockerfile = 1 << 20

// scanner rewrites the context of a build, and checks its Dockerfile before the engine has
// received the end of the context. Later entries of an archive replace earlier ones, also by way of
// links. So each entry is checked, and links that could lead to the Dockerfile are refused.
type scanner struct {
	gate  *Proxy
	names []string        // possible names of the Dockerfile
	links map[string]bool // symbolic links, through which later entries could replace the Dockerfile
}

// scanContext returns the context unchanged, up to where its Dockerfile is refused. The
// engine starts the build only after it has received all of it.
func (g *Proxy) scanContext(context io.ReadCloser, dockerfile string) io.ReadCloser {
	s := &scanner{gate: g, names: []string{dockerfile}, links: map[string]bool{}}
	if dockerfile == defaultDockerfile {
		s.names = append(s.names, strings.ToLower(defaultDockerfile))
	}
	r, w := io.Pipe()
	go func() {
		defer context.Close()
		_ = w.CloseWithError(s.copy(w, context))
	}()
	return r
}

// copy writes the archive again, entry by entry, so that the engine sees exactly the entries that
// were checked.
func (s *scanner) copy(to io.Writer, context io.Reader) error {
	from, err := decompress(context)
	if err != nil {
		return err
	}
	r, w := tar.NewReader(from), tar.NewWriter(to)
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return w.Close()
		}
		if err != nil {
			return badRequest("the context is not a tar archive: %v", err)
		}
		if err := s.entry(w, header, r); err != nil {
			return err
		}
	}
}

// decompress decompresses a context in the formats that clients use.
func decompress(context io.Reader) (io.Reader, error) {
	from := bufio.NewReader(context)
	// An error means that the context is shorter, and it is then not compressed.
	magic, _ := from.Peek(4)
	switch {
	case bytes.HasPrefix(magic, []byte("\x1f\x8b")):
		r, err := gzip.NewReader(from)
		if err != nil {
			return nil, badRequest("the context: %v", err)
		}
		return r, nil
	case bytes.HasPrefix(magic, []byte("BZh")):
		return bzip2.NewReader(from), nil
	case bytes.HasPrefix(magic, []byte("\xfd7zX")), bytes.HasPrefix(magic, []byte("\x28\xb5\x2f\xfd")):
		return nil, refuse("a context compressed with xz or zstd cannot be checked; use gzip, or no compression")
	}
	return from, nil
}

// entry copies one entry of a context.
func (s *scanner) entry(w *tar.Writer, header *tar.Header, content io.Reader) error {
	name := path.Clean("/" + header.Name)[1:]
	// git archive writes a global header with the commit. It has no effect on files.
	if header.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if s.links[dir] {
			return refuse("the context has %s below a symbolic link, which is not available with --docker socket", header.Name)
		}
	}
	if header.Typeflag != tar.TypeReg && header.Typeflag != tar.TypeDir && s.isParentLink(name) {
		return refuse("the Dockerfile %s is a link in the context, which is not available with --docker socket", name)
	}
	s.links[name] = header.Typeflag == tar.TypeSymlink
	if header.Typeflag == tar.TypeReg && s.isDockerfile(name) {
		text, err := io.ReadAll(io.LimitReader(content, maxDockerfile+1))
		switch {
		case err != nil:
			return badRequest("the context: %v", err)
		case len(text) > maxDockerfile:
			return refuse("the Dockerfile is longer than 1 MiB")
		}
		if err := s.gate.checkDockerfile(text); err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	if err := w.WriteHeader(header); err != nil {
		return badRequest("the context has %q: %v", header.Name, err)
	}
	_, err := io.Copy(w, content)
	return err
}

// isParentLink reports whether a name is that of a Dockerfile, or of a directory that
// contains it.
func (s *scanner) isParentLink(name string) bool {
	for _, file := range s.names {
		if file == name || strings.HasPrefix(file, name+"/") {
			return true
		}
	}
	return false
}

// isDockerfile reports whether a name is that of the Dockerfile.
func (s *scanner) isDockerfile(name string) bool {
	for _, file := range s.names {
		if file == name {
			return true
		}
	}
	return false
}
