package engine

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Image is the image that a container was created from.
type Image struct {
	Name     string    // of ImageRef, by which it was found
	ID       string    // sha256:… of its configuration
	Digest   string    // sha256:… in its registry; empty for an image that was not pulled
	Platform string    // such as linux/amd64
	Size     int64     // bytes on disk
	Created  time.Time // zero if the image does not record it
	Emulated bool      // its programs run in an emulator, which is much slower
	Native   string    // platform of the engine's host; empty if unknown
	Local    bool      // the engine runs on this host
}

// ImageSize is the size of an image that has not been pulled yet.
type ImageSize struct {
	Digest   string // of the image in its registry
	Download int64  // bytes
	Disk     int64  // bytes once unpacked; an estimate, since a manifest does not record it
}

// EstimateUnpacked estimates the unpacked size of compressed layers, both in bytes.
// (Debian's, Node's and the curated images have 2.4 to 2.8 times as many; measured.)
func EstimateUnpacked(compressed int64) int64 {
	const ratio = 2.6
	return int64(float64(compressed) * ratio)
}

// CheckSpace returns a *Fault if free bytes, on the file system of dir, are not enough to
// download and unpack an image. The download is kept until it is unpacked.
func (s ImageSize) CheckSpace(image, dir string, free int64) error {
	if s.Download+s.Disk <= free {
		return nil
	}
	const gb = 1e9
	return &Fault{Kind: DiskFull,
		Message: fmt.Sprintf(
			"pull %s: needs about %.1f GB (%.1f to download and %.1f unpacked), but %s has %.1f GB free",
			image,
			float64(s.Download+s.Disk)/gb,
			float64(s.Download)/gb,
			float64(s.Disk)/gb,
			dir,
			float64(free)/gb,
		),
		Hint: "Free up space there (docker system prune, buildlocal image prune), or use a smaller image."}
}

// Repository returns the name of an image without its tag or digest.
func Repository(name string) string {
	name, _, _ = strings.Cut(name, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	return name
}

// LowerName returns the name of an image with its repository in lower case, which registries
// require. The host of a registry, the tag, files of the host and names that are invalid for
// another reason are unchanged.
func LowerName(name string) string {
	isOther := func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !strings.ContainsRune(nameSigns, r)
	}
	if _, _, isFile := CutLocal(name); isFile || strings.ContainsFunc(name, isOther) {
		return name
	}
	repository := Repository(name)
	rest, host := name[len(repository):], ""
	// As in Docker, a first part is a host if it has a dot, a port or an upper case letter.
	first, below, several := strings.Cut(repository, "/")
	if several && (strings.ContainsAny(first, ".:") || first == "localhost" || first != strings.ToLower(first)) {
		host, repository = first+"/", below
	}
	return host + strings.ToLower(repository) + rest
}

// nameSigns are the characters of references beside letters.
const nameSigns = "0123456789._-:/@"

// CutLocal splits the name of an image that is a file of the host: oci:DIR[:NAME], an OCI
// layout, or tar:FILE[:NAME], an archive of docker save. ok is false for other names,
// which are references of a registry.
func CutLocal(name string) (kind, path string, ok bool) {
	kind, path, ok = strings.Cut(name, ":")
	if !ok || kind != "oci" && kind != "tar" {
		return "", "", false
	}
	return kind, path, true
}

// Matches reports whether digest is that of the image in its registry, or its ID. An
// empty digest matches every image.
func (i Image) Matches(digest string) bool {
	return digest == "" || digest == i.ID || digest == i.Digest
}

// Sized is the Status of the first Progress of a pull: Total is the maximum number of
// bytes to download.
const Sized = "Sized"

// Progress is one step of pulling an image.
type Progress struct {
	Image          string
	Layer          string // short digest; empty for the whole image
	Status         string // in the engine's words: Downloading, Extracting, Pull complete
	Current, Total int64  // bytes; Total is 0 if unknown
	Disk, Free     int64  // with Sized: bytes that the image needs on disk, and bytes free there; 0 if unknown
}
