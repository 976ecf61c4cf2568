package tree

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
)

// ErrStop ends a walk early. Walk then returns nil.
var ErrStop = errors.New("stop")

// Visit is called for each file, with its content.
type Visit func(name string, h *tar.Header, content io.Reader) error

// Walk calls visit for everything at place, an absolute path. A directory itself has the
// name ".", and its content has names relative to it; a file has the name "". If place does
// not exist, visit is not called.
func Walk(ctx context.Context, src Source, place string, visit Visit) error {
	stream, err := src.CopyOut(ctx, place)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer stream.Close()
	if err := visitAll(tar.NewReader(stream), visit); err != nil && !errors.Is(err, ErrStop) {
		return fmt.Errorf("read %s: %w", place, err)
	}
	return nil
}

// visitAll calls visit for each entry of a stream. The first entry shows whether the place is a
// directory.
func visitAll(r *tar.Reader, visit Visit) error {
	dir := false
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean(h.Name)
		dir = dir || name == "."
		if !dir {
			name = ""
		}
		if err := visit(name, h, r); err != nil {
			return err
		}
	}
}
