package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// Remove removes names. An image is removed with its last name, and a layer with its last
// image. The error for an unknown name wraps fs.ErrNotExist. Without names it removes
// everything unused, including interrupted downloads.
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
	return errors.Join(append(errs, s.removeUnused(ctx, len(names) == 0))...)
}

// errMissing is the error for an unknown name.
var errMissing = fmt.Errorf("no image has that name: %w", fs.ErrNotExist)

func (s *Store) removeName(full string) error {
	var l label
	if err := s.read(&l, "names", fileOf(full)); err != nil {
		return err
	}
	// The image keeps its other names, so it does not matter whether a build uses it.
	if len(s.imageNames(l.Image)) > 1 {
		return os.Remove(s.path("names", fileOf(full)))
	}
	if err := s.removeImage(l.Image); err != nil {
		return err
	}
	return os.Remove(s.path("names", fileOf(full)))
}

// removeImage removes the record of an image, unless it is in use. The exclusive lock fails as
// long as any process has the shared one of acquire.
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

// imageNames returns the names of an image. Names refer to images and not the other way around,
// so that adding one does not change the file of an image in use.
func (s *Store) imageNames(id string) []string {
	var names []string
	entries, _ := os.ReadDir(s.path("names"))
	for _, e := range entries {
		var l label
		if !isPartial(e.Name()) && s.read(&l, "names", e.Name()) == nil && l.Image == id {
			names = append(names, l.Name)
		}
	}
	return names
}

// removeUnused removes images without a name, layers without an image, and temporary files.
// Interrupted downloads, which could be resumed, are removed only if downloads is set. The
// caller has the exclusive lock, so that no pull is running.
func (s *Store) removeUnused(ctx context.Context, downloads bool) error {
	// Counting references here, instead of storing counts, cannot go wrong when a process is
	// killed.
	used := map[string]bool{}
	images, _ := os.ReadDir(s.path("images"))
	for _, e := range images {
		var r record
		id, is := strings.CutSuffix(e.Name(), ".json")
		if !is || s.read(&r, "images", e.Name()) != nil {
			continue
		}
		if len(s.imageNames("sha256:"+id)) == 0 && s.removeImage("sha256:"+id) == nil {
			continue
		}
		for _, l := range r.Layers {
			used[l] = true
		}
	}
	var errs []error
	for _, dir := range []string{"names", "images"} {
		left, _ := filepath.Glob(s.path(dir, partialPrefix+"*"))
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
	// Locks of layers can be removed because every pull would hold the lock of the store.
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

// discard renames a layer before it removes its files, so that an incomplete one is never
// used.
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
