package sandbox

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/images"
	"github.com/buildlocal/buildlocal/engine/sandbox/inside"
)

// store returns where the engine keeps images.
func (e *Engine) store() *images.Store {
	id := identityOf(e.options.User)
	return images.New(images.Options{
		Dir: filepath.Join(e.options.Store, id.store()), Platform: native(), Now: e.options.Now,
		Login: e.options.Login, Unpack: id.unpackLayer, Remove: id.remove,
	})
}

// Images returns the images the engine keeps, by name, and how many bytes all their
// layers have together.
func (e *Engine) Images() ([]images.Named, int64, error) { return e.store().List() }

// Pull brings an image. The error is a *engine.Fault, or why ctx ended.
func (e *Engine) Pull(ctx context.Context, name string, tell func(engine.Progress)) error {
	image, err := e.store().Pull(ctx, name, tell)
	if err != nil {
		return err
	}
	return image.Close()
}

// RemoveImages removes names of images; what has no name left goes too. The error
// wraps fs.ErrNotExist or images.ErrInUse.
func (e *Engine) RemoveImages(ctx context.Context, names ...string) error {
	return e.store().Remove(ctx, names...)
}

// ReadImageFile returns a file of an image that is kept; the error wraps fs.ErrNotExist
// where there is none.
func (e *Engine) ReadImageFile(image, file string) ([]byte, error) {
	i, err := e.store().Find(image)
	if err != nil {
		return nil, err
	}
	text, err := i.ReadFile(file)
	return text, errors.Join(err, i.Close())
}

// Discard removes a directory of a run that is gone, whoever its files belong to.
func (e *Engine) Discard(ctx context.Context, dir string) error { return e.id.remove(ctx, dir) }

// unpackLayer unpacks a layer of an image. Another process does it, which has the
// right to all its files; this one unzips meanwhile.
func (id identity) unpackLayer(ctx context.Context, dir string, from io.Reader) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	const large = 1 << 20 // bytes; the default keeps one side waiting for the other
	_, _ = unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, large)
	reading := make(chan error, 1)
	go func() {
		_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{from}, make([]byte, 1<<18))
		reading <- errors.Join(err, w.Close())
	}()
	err = id.once(
		ctx,
		inside.Request{Op: inside.Layer, Path: dir, Opaque: id.opaqueAttribute(), Owners: id.kind != idsSingle},
		r,
	)
	r.Close()
	if readErr := <-reading; err == nil || !errors.Is(readErr, unix.EPIPE) && readErr != nil {
		return readErr // what it came from says more than a stream that ends early
	}
	return err
}

// remove removes a directory whose files may belong to borrowed numbers, or be in
// directories that nobody may write to.
func (id identity) remove(ctx context.Context, dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.RemoveAll(dir); err == nil || id.kind == idsRoot {
		return err
	}
	return id.once(ctx, inside.Request{Op: inside.Remove, Path: dir})
}
