package runner

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// copyPace is how often the progress of a copy is told.
const copyPace = 10 * time.Second

// The clock is read after so many bytes or files at the earliest.
const (
	copyPiece = 16 << 20
	copyFiles = 256
)

// watchCopy returns a function that is told what has been copied, and sends an event
// every ten seconds.
func (b *build) watchCopy(c Copy) func(files int, bytes int64) {
	var next time.Time
	last := c
	return func(files int, bytes int64) {
		if bytes-last.Bytes < copyPiece && files-last.Files < copyFiles {
			return
		}
		last.Files, last.Bytes = files, bytes
		now := b.Now()
		if next.IsZero() {
			next = now.Add(copyPace)
		}
		if now.Before(next) {
			return
		}
		next = now.Add(copyPace)
		b.notify(Event{Kind: Copying, Copy: last})
	}
}

// copied names what is copied to a directory below the build's.
func copied(dir string) string {
	if strings.HasPrefix(dir, reportsDir+"/") {
		return "reports"
	}
	return "artifacts"
}

// placed makes an error about a temporary directory one about the build's.
func (b *build) placed(err error, what string) error {
	var full *tree.NoSpaceError
	if errors.As(err, &full) {
		return &tree.NoSpaceError{Dir: b.Out, What: what, Free: full.Free, Need: full.Need}
	}
	return err
}

// zip packs the files of one artifact.
func (b *build) zip(ctx context.Context, zip, dir string, files []tree.File) error {
	c := Copy{Doing: "packing", What: "artifacts", AllFiles: len(files)}
	for _, f := range files {
		c.AllBytes += f.Size
	}
	at := func(name string) string { return filepath.Join(b.Out, filepath.FromSlash(name)) }
	err := artifacts.Zip(at(zip), at(dir), files, (&zipReader{ctx: ctx, told: b.watchCopy(c)}).wrap)
	return b.placed(err, "artifacts")
}

// zipReader reads files that are packed until its context ends, and counts them.
type zipReader struct {
	ctx   context.Context
	told  func(files int, bytes int64)
	files int
	bytes int64
}

// wrap returns a reader of the next file.
func (z *zipReader) wrap(file io.Reader) io.Reader {
	z.files++
	return io.TeeReader(file, z)
}

// Write takes what was read.
func (z *zipReader) Write(p []byte) (int, error) {
	if z.ctx.Err() != nil {
		return 0, context.Cause(z.ctx)
	}
	z.bytes += int64(len(p))
	z.told(z.files-1, z.bytes)
	return len(p), nil
}
