package images

import (
	"context"
	"errors"
	"strings"

	"github.com/buildlocal/buildlocal/engine"
)

// CheckPlatform returns a *engine.Fault of the kind WrongArch for an image in files of this host
// that is for another platform. Images of registries, and files that cannot be read, are left to
// Pull; so are compressed archives, which take long to read.
func (s *Store) CheckPlatform(ctx context.Context, name string) error {
	if !isLocal(name) || isCompressed(ctx, name) {
		return nil
	}
	from, err := s.openSource(ctx, name)
	if err == nil {
		err = s.checkPlatform(from, name)
	}
	var fault *engine.Fault
	if errors.As(err, &fault) && fault.Kind == engine.WrongArch {
		return fault
	}
	return nil
}

// checkPlatform returns an error for an image whose configuration has another platform. It is
// checked even if an index had the right one: they may contradict each other.
func (s *Store) checkPlatform(from *imageSource, name string) error {
	config, err := from.image.ConfigFile()
	if err != nil {
		return err
	}
	if has := platformOf(config); has != "" && has != s.Platform {
		return wrongPlatform(name, has, s.Platform)
	}
	return nil
}

// isCompressed reports whether a local image is a compressed archive.
func isCompressed(ctx context.Context, name string) bool {
	text, isArchive := strings.CutPrefix(name, "tar:")
	file, _, err := splitLocalName(text)
	if !isArchive || err != nil {
		return false
	}
	archive, err := openArchive(ctx, file)
	if err != nil {
		return false
	}
	defer archive.Close()
	_, zipped := archive.(*unzipped)
	return zipped
}
