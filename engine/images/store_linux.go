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

// Options says where a Store is, and how it does its work.
type Options struct {
	Dir      string // absolute; made when something is put there
	Platform string // such as linux/amd64: the images that run here
	Now      func() time.Time
	// Login returns what a registry, such as ghcr.io, is told; an empty Login is
	// nobody's. Nil knows none.
	Login func(registry string) (Login, error)
	// Unpack makes a directory of a layer's tar stream, with whiteouts as an
	// overlay has them. Remove removes what it made. They may have to be done by
	// somebody else: all files of a user's store belong to him, or to numbers he
	// borrows.
	Unpack func(ctx context.Context, dir string, from io.Reader) error
	Remove func(ctx context.Context, dir string) error
}

// Store keeps images. Several processes may use one.
//
//	names/NAME.json   which image a name means; its time is when it was used last
//	images/ID.json    configuration, and the layers; locked while it is in use
//	layers/ID/fs      a layer, unpacked
//	partial/ID        what has come of a layer's download
//	temp/ID           a layer that is being unpacked
//	locks/ID          held by who brings a layer
//	lock              held by who pulls, shared; or by who removes, alone
//
// A file or directory has its name only when it is whole.
type Store struct{ Options }

// New returns the store in o.Dir.
func New(o Options) *Store { return &Store{o} }

// Image is an image of the store. It stays there until it is closed.
type Image struct {
	ID         string   // sha256:… of its configuration
	Layers     []string // absolute directories, lowest first
	Env        []string // NAME=VALUE
	Entrypoint []string
	About      engine.Image
	lock       *os.File
}

// Close lets go of the image.
func (i *Image) Close() error { return i.lock.Close() }

// record is an image as the store notes it.
type record struct {
	ID         string   `json:"id"`
	Layers     []string `json:"layers"` // diff IDs without sha256:, lowest first
	Env        []string `json:"env,omitempty"`
	Entrypoint []string `json:"entrypoint,omitempty"`
	Size       int64    `json:"size"` // bytes of its unpacked layers

	Created time.Time `json:"created,omitzero"`
}

// label is a name as the store notes it.
type label struct {
	Name   string    `json:"name"`
	Image  string    `json:"image"`  // ID
	Digest string    `json:"digest"` // of what the registry has; empty for none
	Pulled time.Time `json:"pulled"`
}

func (s *Store) path(parts ...string) string {
	return filepath.Join(append([]string{s.Dir}, parts...)...)
}

// Need returns the first of the spellings of an image that is here, or that can
// be had: from a registry, or for oci:DIR and tar:FILE from this machine. The
// error is a *engine.Fault, or why ctx ended.
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
			err = errors.Join(&engine.Fault{Kind: engine.NoImage, Message: fmt.Sprintf("image %s has the ID %s, not %s", name, image.ID, spec.Image.Digest),
				Hint: "Ask for the digest it has, or for none."}, image.Close())
		}
		if err == nil || ctx.Err() != nil {
			return image, err
		}
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return nil, worst(faults)
	}
	f := &engine.Fault{Kind: engine.NoImage, Message: fmt.Sprintf("image %s is not in the store, and no registry has it", strings.Join(names, " or "))}
	if spec.Image.Pull == engine.PullNever {
		f.Message = fmt.Sprintf("image %s not found locally and --pull is never", strings.Join(names, " or "))
		f.Hint = "Pull it first with buildlocal image pull, or run with --pull missing."
	}
	return nil, f
}

// worst returns the fault that says most: one that is not "no such image".
func worst(faults []error) error {
	for _, err := range faults {
		var f *engine.Fault
		if !errors.As(err, &f) || f.Kind != engine.NoImage {
			return err
		}
	}
	return faults[len(faults)-1]
}

// Find returns an image that is here; the error wraps fs.ErrNotExist where there
// is none of the name.
func (s *Store) Find(name string) (*Image, error) {
	full, err := fullName(name)
	if err != nil {
		return nil, err
	}
	var l label
	if err := s.read(&l, "names", fileOf(full)); err != nil {
		return nil, err
	}
	image, err := s.use(l.Image)
	if err == nil {
		image.About.Name, image.About.Digest = shortName(l.Name), l.Digest
		now := s.Now()
		_ = os.Chtimes(s.path("names", fileOf(full)), now, now)
	}
	return image, err
}

// ReadFile returns a file of an image that is here, as its highest layer has it; the
// error wraps fs.ErrNotExist where there is none.
func (i *Image) ReadFile(name string) ([]byte, error) {
	for n := len(i.Layers) - 1; n >= 0; n-- {
		root, err := os.OpenRoot(i.Layers[n])
		if err != nil {
			return nil, err
		}
		info, err := root.Lstat(strings.TrimPrefix(name, "/"))
		var text []byte
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err == nil && info.Mode().IsRegular():
			text, err = regular.ReadIn(root, strings.TrimPrefix(name, "/"), maxDocument)
		case err == nil: // deleted there, or no file
			err = fmt.Errorf("%s: no file: %w", name, fs.ErrInvalid)
		}
		if err := errors.Join(err, root.Close()); !errors.Is(err, fs.ErrNotExist) {
			if errors.Is(err, fs.ErrInvalid) {
				err = fs.ErrNotExist
			}
			return text, err
		}
	}
	return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}

// fileOf returns the name of a file for a name of an image. The colon is left as
// it is by the escaping, and one of this length by every file system.
func fileOf(name string) string {
	escaped := url.PathEscape(name)
	const most = 200
	if len(escaped) > most {
		escaped = escaped[:most] + hashOf(name)
	}
	return escaped + ".json"
}

func (s *Store) read(into any, parts ...string) error {
	text, err := regular.Read(s.path(parts...), maxDocument)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w: %w", s.path(parts...), fs.ErrNotExist, err) // it is pulled anew
	}
	return nil
}

// write puts a file in its place when it is whole.
func (s *Store) write(what any, parts ...string) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	name := s.path(parts...)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(name), unfinished+"*")
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

// unfinished begins the name of a file that is being written.
const unfinished = ".new-"

func isUnfinished(name string) bool { return strings.HasPrefix(name, unfinished) }

// use returns an image by its ID, and holds it.
func (s *Store) use(id string) (*Image, error) {
	var r record
	file := strings.TrimPrefix(id, "sha256:") + ".json"
	lock, err := regular.Open(s.path("images", file))
	if err != nil {
		return nil, err
	}
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
			err = fs.ErrNotExist // it is pulled anew
		}
		image.Layers = append(image.Layers, s.path("layers", layer, "fs"))
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return image, nil
}

// List returns all names, by name, and how many bytes all layers have together.
func (s *Store) List() (all []Named, total int64, err error) {
	entries, err := os.ReadDir(s.path("names"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, err
	}
	for _, e := range entries {
		if isUnfinished(e.Name()) {
			continue
		}
		var l label
		var r record
		info, err := e.Info()
		if err != nil || s.read(&l, "names", e.Name()) != nil || s.read(&r, "images", strings.TrimPrefix(l.Image, "sha256:")+".json") != nil {
			continue
		}
		all = append(all, Named{Name: shortName(l.Name), ID: l.Image, Digest: l.Digest, Size: r.Size, Pulled: l.Pulled, Used: info.ModTime(), Created: r.Created})
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

// hasLayer reports whether a layer is here, whole: its size is noted last.
func (s *Store) hasLayer(id string) bool {
	_, err := os.Stat(s.path("layers", id, "size.json"))
	return err == nil
}

func (s *Store) layerSize(id string) int64 {
	var size int64
	_ = s.read(&size, "layers", id, "size.json")
	return size
}

// Remove removes names; an image goes with its last one, a layer with its last
// image. A name that is not there is fs.ErrNotExist. Without names it removes what
// nobody needs, also downloads that were cut off.
func (s *Store) Remove(ctx context.Context, names ...string) error {
	unlock, err := s.lock(ctx, "lock", unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlock()
	var errs []error
	for _, name := range names {
		full, err := fullName(name)
		if err == nil {
			err = s.removeName(full)
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = errMissing
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("image %s: %w", name, err))
		}
	}
	return errors.Join(append(errs, s.sweep(ctx, len(names) == 0))...)
}

// errMissing is a name that is not in the store.
var errMissing = fmt.Errorf("there is none of that name: %w", fs.ErrNotExist)

func (s *Store) removeName(full string) error {
	var l label
	if err := s.read(&l, "names", fileOf(full)); err != nil {
		return err
	}
	if len(s.namesOf(l.Image)) > 1 {
		return os.Remove(s.path("names", fileOf(full)))
	}
	if err := s.removeImage(l.Image); err != nil {
		return err
	}
	return os.Remove(s.path("names", fileOf(full)))
}

// removeImage removes what is noted of an image, unless it is in use.
func (s *Store) removeImage(id string) error {
	file := s.path("images", strings.TrimPrefix(id, "sha256:")+".json")
	lock, err := regular.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return ErrInUse
	}
	return os.Remove(file)
}

func (s *Store) namesOf(id string) []string {
	var names []string
	entries, _ := os.ReadDir(s.path("names"))
	for _, e := range entries {
		var l label
		if !isUnfinished(e.Name()) && s.read(&l, "names", e.Name()) == nil && l.Image == id {
			names = append(names, l.Name)
		}
	}
	return names
}

// sweep removes images without a name, layers that no image has, and what was cut
// off; downloads only where that is wanted, for they could go on. Nobody pulls
// meanwhile.
func (s *Store) sweep(ctx context.Context, downloads bool) error {
	used := map[string]bool{}
	images, _ := os.ReadDir(s.path("images"))
	for _, e := range images {
		var r record
		id, is := strings.CutSuffix(e.Name(), ".json")
		if !is || s.read(&r, "images", e.Name()) != nil {
			continue
		}
		if len(s.namesOf("sha256:"+id)) == 0 && s.removeImage("sha256:"+id) == nil {
			continue
		}
		for _, l := range r.Layers {
			used[l] = true
		}
	}
	var errs []error
	for _, dir := range []string{"names", "images"} {
		left, _ := filepath.Glob(s.path(dir, unfinished+"*"))
		for _, file := range left {
			errs = append(errs, os.Remove(file))
		}
	}
	layers, _ := os.ReadDir(s.path("layers"))
	for _, l := range layers {
		if !used[l.Name()] {
			errs = append(errs, s.discard(ctx, l.Name()))
		}
	}
	cutOff := []string{"temp", "locks"}
	if downloads {
		cutOff = append(cutOff, "partial")
	}
	for _, dir := range cutOff {
		left, _ := os.ReadDir(s.path(dir))
		for _, l := range left {
			errs = append(errs, s.Options.Remove(ctx, s.path(dir, l.Name())))
		}
	}
	return errors.Join(errs...)
}

// discard takes a layer's name away before its files.
func (s *Store) discard(ctx context.Context, layer string) error {
	gone := s.path("temp", "gone-"+layer)
	if err := errors.Join(s.Options.Remove(ctx, gone), os.MkdirAll(s.path("temp"), 0o755)); err != nil {
		return err
	}
	if err := os.Rename(s.path("layers", layer), gone); err != nil {
		return err
	}
	return s.Options.Remove(ctx, gone)
}

// lock takes the lock of a file of the store, and waits for it until ctx ends.
func (s *Store) lock(ctx context.Context, name string, how int) (func(), error) {
	file := s.path(name)
	// Nobody else looks in: an image has programs that give away their owner's rights.
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
		case <-time.After(20 * time.Millisecond):
		}
	}
}
