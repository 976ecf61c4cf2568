package treecopy

import (
	"archive/tar"
	"io"
	"io/fs"
	"strings"
)

// File is a file that is made for a tar stream. It belongs to root.
type File struct {
	Name    string
	Mode    fs.FileMode // with its type: a regular file, fs.ModeDir or fs.ModeNamedPipe
	Size    int64       // of Content
	Content io.Reader   // nil for an empty file, and for one that is not regular
}

// Text returns a file with a text.
func Text(name string, mode fs.FileMode, text string) File {
	return File{name, mode, int64(len(text)), strings.NewReader(text)}
}

// Stream returns files as a tar stream. Close ends it, also before it was read to the end.
func Stream(files ...File) io.ReadCloser {
	r, w := io.Pipe()
	go func() { w.CloseWithError(write(w, files)) }()
	return r
}

func write(to io.Writer, files []File) error {
	stream := tar.NewWriter(to)
	for _, f := range files {
		if err := stream.WriteHeader(f.header()); err != nil {
			return err
		}
		if f.Content == nil {
			continue
		}
		if _, err := io.Copy(stream, f.Content); err != nil {
			return err
		}
	}
	return stream.Close()
}

// header returns the entry of the file.
func (f File) header() *tar.Header {
	h := &tar.Header{Name: f.Name, Typeflag: tar.TypeReg, Mode: int64(f.Mode.Perm()), Size: f.Size}
	switch f.Mode.Type() {
	case fs.ModeDir:
		h.Typeflag = tar.TypeDir
	case fs.ModeNamedPipe:
		h.Typeflag = tar.TypeFifo
	}
	return h
}
