package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/regular"
)

// Options configures a Store.
type Options struct {
	Dir      string // absolute; created when it is needed
	Platform string // of the images to select, such as linux/amd64
	Now      func() time.Time
	// Login returns the login of a registry, such as ghcr.io, or an empty one. It may be nil.
	Login func(registry string) (Login, error)
	// Unpack unpacks the tar stream of a layer into a directory, with whiteouts in the form of
	// overlay. Remove removes that directory. Both may have to run with other user IDs: the
	// files of a user's store are owned by the user, or by subordinate IDs.
	Unpack func(ctx context.Context, dir string, from io.Reader) error
	Remove func(ctx context.Context, dir string) error
}

// Store is a directory of images. Several processes can use it at the same time.
//
//	names/NAME.json   the image of a name; its modification time is that of the last use
//	images/ID.json    configuration and layers of an image; locked while it is in use
//	layers/ID/fs      an unpacked layer
//	partial/ID        an incomplete download of a layer
//	temp/ID           a layer that is being unpacked
//	locks/ID          locked while a layer is being pulled
//	lock              locked by pulls (shared) and removals (exclusive)
//
// Files and directories are renamed to their final names when they are complete.
type Store struct{ Options }

// New returns the store in o.Dir.
func New(o Options) *Store { return &Store{o} }

// Image is an image of the store. It is not removed until Close.
type Image struct {
	ID         string   // sha256:… of its configuration
	Layers     []string // absolute directories, lowest first
	Env        []string // NAME=VALUE
	Entrypoint []string
	About      engine.Image
	lock       *os.File
}

// Close releases the image.
func (i *Image) Close() error { return i.lock.Close() }

// record is the file of an image.
type record struct {
	ID         string   `json:"id"`
	Layers     []string `json:"layers"` // diff IDs without sha256:, lowest first
	Env        []string `json:"env,omitempty"`
	Entrypoint []string `json:"entrypoint,omitempty"`
	Size       int64    `json:"size"` // bytes of its unpacked layers

	Created time.Time `json:"created,omitzero"`
}

// label is the file of a name.
type label struct {
	Name   string    `json:"name"`
	Image  string    `json:"image"`  // ID
	Digest string    `json:"digest"` // of the image in its registry; empty if it does not come from one
	Pulled time.Time `json:"pulled"`
}

func (s *Store) path(parts ...string) string {
	return filepath.Join(append([]string{s.Dir}, parts...)...)
}

// Need returns the first spelling of an image that is in the store, or that can be pulled.
// The names oci:DIR and tar:FILE are always read again, which is cheap if nothing has
// changed. The error is a *engine.Fault or the cause of ctx.
//
// All spellings are looked up in the store before any is pulled: a short name that is here must
// not cause a request to a registry that has another image of that name.
func (s *Store) Need(ctx context.Context, spec engine.Spec) (*Image, error) {
	names := spec.Image.Names
	if spec.Image.Alias != "" {
		names = append([]string{spec.Image.Alias}, names...)
	}
	var faults []error
	for _, name := range names {
		if spec.Image.Pull == engine.PullAlways && len(spec.Image.Names) > 0 || isLocal(name) {
			continue
		}
		image, err := s.Find(name)
		if err == nil && !image.About.Matches(spec.Image.Digest) {
			err = errors.Join(fs.ErrNotExist, image.Close())
		}
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return image, err
		}
	}
	for _, name := range spec.Image.Pinned() {
		if spec.Image.Pull == engine.PullNever && !isLocal(name) {
			continue
		}
		image, err := s.Pull(ctx, name, spec.Hooks.ReportProgress)
		if err == nil && !image.About.Matches(spec.Image.Digest) {
			err = errors.Join(
				&engine.Fault{
					Kind:    engine.NoImage,
					Message: fmt.Sprintf("image %s has the ID %s, not %s", name, image.ID, spec.Image.Digest),
					Hint:    "Omit the digest, or use that of the image.",
				},
				image.Close(),
			)
		}
		if err == nil || ctx.Err() != nil {
			return image, err
		}
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		// Each spelling may have failed for another reason. The user sees the one that explains
		// most.
		return nil, engine.MostSpecific(faults)
	}
	f := &engine.Fault{
		Kind:    engine.NoImage,
		Message: fmt.Sprintf("image %s is not in the store, and no registry has it", strings.Join(names, " or ")),
	}
	if spec.Image.Pull == engine.PullNever {
		f.Message = fmt.Sprintf("image %s not found locally and --pull is never", strings.Join(names, " or "))
		f.Hint = "Pull it first with buildlocal image pull, or run with --pull missing."
	}
	return nil, f
}

// Find returns an image of the store. The error for an unknown name wraps fs.ErrNotExist.
func (s *Store) Find(name string) (*Image, error) {
	full, err := fullName(name)
	if err != nil {
		return nil, err
	}
	var l label
	if err := s.read(&l, "names", fileOf(full)); err != nil {
		return nil, err
	}
	image, err := s.acquire(l.Image)
	if err == nil {
		image.About.Name, image.About.Digest = shortName(l.Name), l.Digest
		now := s.Now()
		// The time is only for the list of images, so an error does not matter.
		_ = os.Chtimes(s.path("names", fileOf(full)), now, now)
	}
	return image, err
}

// ReadFile returns a file of an image, from its highest layer that has it. The error for a
// missing one wraps fs.ErrNotExist.
func (i *Image) ReadFile(name string) ([]byte, error) {
	for n := len(i.Layers) - 1; n >= 0; n-- {
		// Links of the layer must not lead to files of the host.
		root, err := os.OpenRoot(i.Layers[n])
		if err != nil {
			return nil, err
		}
		// The layers are not mounted: this is used before a build begins, and by users who
		// cannot mount.
		info, err := root.Lstat(strings.TrimPrefix(name, "/"))
		var text []byte
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err == nil && info.Mode().IsRegular():
			text, err = regular.ReadIn(root, strings.TrimPrefix(name, "/"), maxDocument)
		case err == nil: // a whiteout, or not a regular file
			err = fmt.Errorf("%s: no file: %w", name, fs.ErrInvalid)
		}
		if err := errors.Join(err, root.Close()); !errors.Is(err, fs.ErrNotExist) {
			// A whiteout or another kind of file hides the file in lower layers.
			if errors.Is(err, fs.ErrInvalid) {
				err = fs.ErrNotExist
			}
			return text, err
		}
	}
	return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}

// fileOf returns the file name for a name of an image. The escaping keeps colons. The
// length is limited to what every file system supports.
func fileOf(name string) string {
	escaped := url.PathEscape(name)
	// File systems allow 255 bytes.
	const most = 200
	if len(escaped) > most {
		escaped = escaped[:most] + hashOf(name)
	}
	return escaped + ".json"
}

// read reads a file of JSON. A damaged one counts as missing.
func (s *Store) read(into any, parts ...string) error {
	text, err := regular.Read(s.path(parts...), maxDocument)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w: %w", s.path(parts...), fs.ErrNotExist, err) // it will be pulled again
	}
	return nil
}

// write writes a file completely or not at all.
func (s *Store) write(what any, parts ...string) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	name := s.path(parts...)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	// In the same directory, because a rename does not work between file systems.
	file, err := os.CreateTemp(filepath.Dir(name), partialPrefix+"*")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Chmod(0o644), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// partialPrefix is the prefix of files that are being written.
const partialPrefix = ".new-"

func isPartial(name string) bool { return strings.HasPrefix(name, partialPrefix) }

// acquire returns an image by its ID and locks it.
func (s *Store) acquire(id string) (*Image, error) {
	var r record
	file := strings.TrimPrefix(id, "sha256:") + ".json"
	lock, err := regular.Open(s.path("images", file))
	if err != nil {
		return nil, err
	}
	// The kernel releases the lock when this process ends, however it does so. Reading the
	// record after locking ensures that it was not removed in between.
	err = unix.Flock(int(lock.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK { // it is being removed
		err = fs.ErrNotExist
	}
	if err == nil {
		err = s.read(&r, "images", file)
	}
	image := &Image{ID: id, Env: r.Env, Entrypoint: r.Entrypoint, lock: lock}
	image.About = engine.Image{ID: id, Platform: s.Platform, Size: r.Size, Created: r.Created}
	for _, layer := range r.Layers {
		if err == nil && !s.hasLayer(layer) {
			err = fs.ErrNotExist // it will be pulled again
		}
		image.Layers = append(image.Layers, s.path("layers", layer, "fs"))
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return image, nil
}

// List returns all names, sorted, and the size of all layers in bytes.
func (s *Store) List() (all []Named, total int64, err error) {
	entries, err := os.ReadDir(s.path("names"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, err
	}
	for _, e := range entries {
		if isPartial(e.Name()) {
			continue
		}
		var l label
		var r record
		info, err := e.Info()
		// A name that cannot be read, or was removed meanwhile, is not listed. Pulling it again
		// repairs it.
		if err != nil || s.read(&l, "names", e.Name()) != nil ||
			s.read(&r, "images", strings.TrimPrefix(l.Image, "sha256:")+".json") != nil {
			continue
		}
		all = append(
			all,
			Named{
				Name:    shortName(l.Name),
				ID:      l.Image,
				Digest:  l.Digest,
				Size:    r.Size,
				Pulled:  l.Pulled,
				Used:    info.ModTime(),
				Created: r.Created,
			},
		)
	}
	slices.SortFunc(all, func(a, b Named) int { return strings.Compare(a.Name, b.Name) })
	layers, err := os.ReadDir(s.path("layers"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	for _, l := range layers {
		total += s.layerSize(l.Name())
	}
	return all, total, err
}

// hasLayer reports whether a layer is complete: its size is written last.
func (s *Store) hasLayer(id string) bool {
	_, err := os.Stat(s.path("layers", id, "size.json"))
	return err == nil
}

// layerSize returns the size of a layer in bytes, or 0 if it is not complete.
func (s *Store) layerSize(id string) int64 {
	var size int64
	_ = s.read(&size, "layers", id, "size.json")
	return size
}

// lock locks a file of the store, and waits for it until ctx ends.
func (s *Store) lock(ctx context.Context, name string, how int) (func(), error) {
	file := s.path(name)
	// Other users must not have access: images contain setuid programs.
	err := errors.Join(os.MkdirAll(s.Dir, 0o700), os.Chmod(s.Dir, 0o700), os.MkdirAll(filepath.Dir(file), 0o755))
	if err != nil {
		return nil, fmt.Errorf("make the store of images: %w", err)
	}
	if err := regular.Check(file); err != nil {
		return nil, fmt.Errorf("lock the store of images: %w", err)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR|regular.OpenFlags, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the store of images: %w", err)
	}
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			return nil, errors.Join(fmt.Errorf("lock the store of images: %w", err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		// A lock that waits in the kernel could not be given up when ctx ends.
		case <-time.After(20 * time.Millisecond):
		}
	}
}
