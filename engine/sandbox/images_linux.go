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
	"github.com/buildlocal/buildlocal/internal/untar"
)

// store returns the store of images.
func (e *Engine) store() *images.Store {
	id := identityOf(e.options.User)
	return images.New(images.Options{
		Dir: filepath.Join(e.options.Store, id.store()), Platform: native(), Now: e.options.Now,
		Login: e.options.Login, Unpack: id.unpackLayer, Remove: id.remove,
	})
}

// Images returns the images of the store by name, and the size of all their layers in
// bytes.
func (e *Engine) Images() ([]images.Named, int64, error) { return e.store().List() }

// Pull pulls an image. The error is a *engine.Fault or the cause of ctx.
func (e *Engine) Pull(ctx context.Context, name string, report func(engine.Progress)) error {
	image, err := e.store().Pull(ctx, name, report)
	if err != nil {
		return err
	}
	return image.Close()
}

// CheckPlatform implements engine.PlatformChecker for images in files of this host. Stored images
// are always for it.
func (e *Engine) CheckPlatform(ctx context.Context, i engine.ImageRef) error {
	for _, name := range i.Names {
		if err := e.store().CheckPlatform(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// RemoveImages removes names of images, and images without a name. The error wraps
// fs.ErrNotExist or images.ErrInUse.
func (e *Engine) RemoveImages(ctx context.Context, names ...string) error {
	return e.store().Remove(ctx, names...)
}

// ReadImageFile returns a file of an image in the store. The error for a missing one wraps
// fs.ErrNotExist.
func (e *Engine) ReadImageFile(image, file string) ([]byte, error) {
	i, err := e.store().Find(image)
	if err != nil {
		return nil, err
	}
	text, err := i.ReadFile(file)
	return text, errors.Join(err, i.Close())
}

// Discard removes a directory of a terminated run, whichever user owns its files.
func (e *Engine) Discard(ctx context.Context, dir string) error { return e.id.remove(ctx, dir) }

// unpackLayer unpacks a layer of an image. For a non-root user, a process with the sandbox's
// user IDs does it, which may access all of the files. Root needs no such process, and
// without it every byte is copied twice less.
func (id identity) unpackLayer(ctx context.Context, dir string, from io.Reader) error {
	if id.kind == idsRoot {
		return untar.Unpack(dir, from, untar.Unpacking{Opaque: id.opaqueAttribute(), Owners: true})
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	const large = 1 << 20 // bytes of the pipe; with the default of 64 KiB the two sides wait for each other
	// An error leaves the default size: the pipes of a user are limited in total.
	_, _ = unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, large)
	reading := make(chan error, 1)
	go func() {
		_, err := io.Copy(w, from)
		reading <- errors.Join(err, w.Close())
	}()
	err = id.once(
		ctx,
		inside.Request{Op: inside.Layer, Path: dir, Opaque: id.opaqueAttribute(), Owners: id.kind != idsSingle},
		r,
	)
	// Otherwise the copying goroutine would not notice that the process has ended, and would
	// block when the pipe is full.
	r.Close()
	if readErr := <-reading; err == nil || !errors.Is(readErr, unix.EPIPE) && readErr != nil {
		return readErr // the reason of the stream is better than its early end
	}
	return err
}

// remove removes a directory whose files may be owned by subordinate IDs, or be in directories
// without write permission. The fast way is tried first, because most directories are those of
// a run and owned by the user.
func (id identity) remove(ctx context.Context, dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.RemoveAll(dir); err == nil || id.kind == idsRoot {
		return err
	}
	return id.once(ctx, inside.Request{Op: inside.Remove, Path: dir})
}
