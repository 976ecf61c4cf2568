package engine

import (
	"fmt"
	"strings"
	"time"
)

// Image is the image a container was made from.
type Image struct {
	Name     string    // by which it was found
	ID       string    // sha256:… of its configuration
	Digest   string    // sha256:… by which a registry has it; empty for one that is only here
	Platform string    // such as linux/amd64
	Size     int64     // bytes on disk
	Created  time.Time // zero where it does not say
	Emulated bool      // programs of its platform run by an emulator
	Native   string    // the platform of the engine's machine; empty where that was not looked at
	Local    bool      // the engine's machine is this one
}

// ImageSize is how large an image is, before it is here.
type ImageSize struct {
	Digest   string // of what the registry has
	Download int64  // bytes
	Disk     int64  // bytes once it is unpacked: an estimate, for a manifest does not say
}

// Unpacked estimates how many bytes compressed layers have once they are unpacked.
// (Debian's, Node's and the curated images have 2.4 to 2.8 times as many.)
func Unpacked(compressed int64) int64 {
	const times = 2.6
	return int64(float64(compressed) * times)
}

// Fits returns a *Fault where a disk has not enough space to download and unpack an
// image; free is in bytes, of the file system of dir.
func (s ImageSize) Fits(image, dir string, free int64) error {
	if s.Download+s.Disk <= free {
		return nil
	}
	const gb = 1e9
	return &Fault{Kind: DiskFull,
		Message: fmt.Sprintf("pull image %s: it needs about %.1f GB, %.1f to download and %.1f unpacked, and %s has %.1f GB free", image, float64(s.Download+s.Disk)/gb, float64(s.Download)/gb, float64(s.Disk)/gb, dir, float64(free)/gb),
		Way:     "Free space there (docker system prune, buildlocal image prune), or choose a smaller image."}
}

// Pinned returns the names of the image to pull: by its digest, where one is asked for.
func (s Spec) Pinned() []string {
	if s.Digest == "" {
		return s.Images
	}
	var all []string
	for _, name := range s.Images {
		if strings.HasPrefix(name, "oci:") || strings.HasPrefix(name, "tar:") {
			all = append(all, name)
			continue
		}
		all = append(all, Repository(name)+"@"+s.Digest)
	}
	return all
}

// Repository returns the name of an image without its tag or digest.
func Repository(name string) string {
	name, _, _ = strings.Cut(name, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	return name
}

// Is reports whether an image is the one a digest means; any is where there is none.
func (i Image) Is(digest string) bool { return digest == "" || digest == i.ID || digest == i.Digest }
