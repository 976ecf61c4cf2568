package runner

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// collector copies files of the build to its output directory. It has no state.
type collector struct {
	*Runner
	plan   *Plan
	rec    *recorder
	shells *shellState
}

// path returns the host's path of a slash-separated name below the output directory.
func (c *collector) path(name string) string { return filepath.Join(c.Out, filepath.FromSlash(name)) }

// collect copies the selected files to o.Dir, with patterns expanded by the build's shell.
func (c *collector) collect(ctx context.Context, src tree.Source, o Output, s tree.Selection) (
	Output, []tree.File, error,
) {
	var err error
	if s, err = c.expand(ctx, s); err != nil {
		return o, nil, err
	}
	return c.copy(ctx, src, o, s, tree.Observer{Say: c.rec.say, Bracketed: c.rec.noteBrackets})
}

func (c *collector) expand(ctx context.Context, s tree.Selection) (tree.Selection, error) {
	var err error
	if s.Base, err = c.shells.expand(ctx, s.Base); err != nil {
		return s, err
	}
	if s.Files, err = c.shells.expandAll(ctx, s.Files); err != nil {
		return s, err
	}
	s.Exclude, err = c.shells.expandAll(ctx, s.Exclude)
	return s, err
}

// copy is collect for patterns that are already expanded. The files are written to a
// temporary directory, which is then renamed, so that o.Dir is never incomplete. The
// returned files and the Output have the original names.
func (c *collector) copy(
	ctx context.Context, src tree.Source, o Output, s tree.Selection, observer tree.Observer,
) (Output, []tree.File, error) {
	s.Root = c.plan.Sources[0].Path
	staging, err := os.MkdirTemp(c.Out, ".collecting-")
	if err != nil {
		return o, nil, err
	}
	defer os.RemoveAll(staging)
	noun := "artifacts"
	if strings.HasPrefix(o.Dir, reportsDir+"/") {
		noun = "reports"
	}
	total := &copyTotal{shells: c.shells, selection: s}
	defer total.wait()
	observer.Copied = watchCopy(c.Now, Copy{Doing: "copying", What: noun}, func(progress Copy) {
		total.addTo(ctx, &progress)
		c.rec.copying(progress)
	})
	files, err := tree.Collect(ctx, src, s, staging, observer)
	if err != nil {
		return o, nil, c.spaceError(err, noun)
	}
	for _, f := range files {
		o.Files = append(o.Files, File{f.Path, f.Size})
	}
	dest := c.path(o.Dir)
	if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
		return o, nil, err
	}
	if err := errors.Join(os.Chmod(staging, 0o755), os.Rename(staging, dest)); err != nil {
		return o, nil, err
	}
	return o, files, nil
}

// spaceError makes an error about the temporary directory one about the output directory.
func (c *collector) spaceError(err error, noun string) error {
	var full *tree.NoSpaceError
	if errors.As(err, &full) {
		return &tree.NoSpaceError{Dir: c.Out, What: noun, Free: full.Free, Need: full.Need}
	}
	return err
}

// zip packs files of the directory dir into an archive; both are below the output
// directory.
func (c *collector) zip(ctx context.Context, zip, dir string, files []tree.File) error {
	progress := Copy{Doing: "packing", What: "artifacts", AllFiles: len(files)}
	for _, f := range files {
		progress.AllBytes += f.Size
	}
	counter := &copyCounter{ctx: ctx, report: c.watchCopy(progress)}
	return c.spaceError(artifacts.Zip(c.path(zip), c.path(dir), files, counter.wrap), "artifacts")
}

// copyInterval is the time between two events about the progress of a copy.
const copyInterval = 200 * time.Millisecond

// The clock is read only after this many more bytes or files.
const (
	minCopiedBytes = 16 << 20
	minCopiedFiles = 256
)

// watchCopy watches a copy of the collector.
func (c *collector) watchCopy(progress Copy) func(files int, bytes int64) {
	return watchCopy(c.Now, progress, c.rec.copying)
}

// copying sends an event about the progress of a copy.
func (r *recorder) copying(progress Copy) { r.notify(Event{Kind: Copying, Copy: progress}) }

// watchCopy returns a function that takes the number of files and bytes copied so far and
// calls report after each copyInterval.
func watchCopy(clock func() time.Time, progress Copy, report func(Copy)) func(files int, bytes int64) {
	var next time.Time
	return func(files int, bytes int64) {
		if bytes-progress.Bytes < minCopiedBytes && files-progress.Files < minCopiedFiles {
			return
		}
		progress.Files, progress.Bytes = files, bytes
		now := clock()
		if next.IsZero() {
			next = now.Add(copyInterval)
		}
		if now.Before(next) {
			return
		}
		next = now.Add(copyInterval)
		report(progress)
	}
}

// copyCounter counts the files and bytes that are read through it, and fails when its
// context is done.
type copyCounter struct {
	ctx    context.Context
	report func(files int, bytes int64) // files that were read completely, and all bytes
	files  int
	bytes  int64
}

// wrap returns a reader for the next file.
func (c *copyCounter) wrap(file io.Reader) io.Reader {
	c.files++
	return io.TeeReader(file, c)
}

// Write implements io.Writer.
func (c *copyCounter) Write(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	c.bytes += int64(len(p))
	c.report(c.files-1, c.bytes)
	return len(p), nil
}
