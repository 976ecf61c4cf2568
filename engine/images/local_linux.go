package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// openSource finds an image: in a registry, or in a file of the host.
func (s *Store) openSource(ctx context.Context, image string) (*imageSource, error) {
	kind, rest, _ := strings.Cut(image, ":")
	var o *imageSource
	var err error
	switch {
	case !isLocal(image):
		return s.fromRegistry(ctx, image)
	case rest == "":
		return nil, invalidName(image, errors.New("no path after the colon"))
	case kind == "oci":
		o, err = s.fromLayout(ctx, rest)
	default:
		o, err = fromArchive(ctx, rest)
	}
	if err != nil {
		return nil, err
	}
	if o.name, err = fullName(image); err != nil {
		return nil, err
	}
	// There is no download to remove.
	o.done = func(v1.Layer) {}
	return o, nil
}

// splitLocalName splits PATH[:NAME]. The path may contain colons, so the shortest existing
// path counts.
func splitLocalName(text string) (file, tag string, err error) {
	if _, err := os.Stat(text); err == nil {
		return text, "", nil
	}
	for i, c := range text {
		if c != ':' {
			continue
		}
		// Names have colons before the tag and before the port of a registry, so none of them
		// can be ruled out.
		if _, err := os.Stat(text[:i]); err == nil {
			return text[:i], text[i+1:], nil
		}
	}
	// The error names the whole text, since it is not known which part of it was meant as a
	// path.
	_, err = os.Stat(text)
	return "", "", err
}

// fromLayout returns an image of an OCI layout: the one with the name, or the only one for
// this platform.
func (s *Store) fromLayout(ctx context.Context, text string) (*imageSource, error) {
	dir, tag, err := splitLocalName(text)
	if err != nil {
		return nil, err
	}
	d := layoutDir{ctx, dir}
	index, err := d.index()
	if err != nil {
		return nil, err
	}
	found, err := s.choose(d, index, tag)
	if err != nil {
		return nil, err
	}
	return &imageSource{
		image: found,
		sized: true,
		open: func(_ context.Context, l v1.Layer, _ func(string, int64)) (io.ReadCloser, error) {
			return l.Compressed()
		},
	}, nil
}

// tagKey is the annotation with the name of an image in a layout.
const tagKey = "org.opencontainers.image.ref.name"

func (s *Store) choose(d layoutDir, manifest *v1.IndexManifest, tag string) (v1.Image, error) {
	var tags, others []string
	var found []v1.Descriptor
	for _, d := range manifest.Manifests {
		name := d.Annotations[tagKey]
		if name != "" {
			tags = append(tags, name)
		}
		switch {
		case tag != "" && name != tag && d.Digest.String() != tag:
		case d.Annotations["vnd.docker.reference.type"] != "": // an attestation, not an image
		// A descriptor without a platform is accepted: the configuration, which has one too, is
		// checked later.
		case d.Platform != nil && d.Platform.Architecture != "" && d.Platform.OS+"/"+d.Platform.Architecture != s.Platform:
			others = append(others, d.Platform.OS+"/"+d.Platform.Architecture)
		default:
			found = append(found, d)
		}
	}
	switch {
	// That there is an image for another platform explains more than that none was found.
	case len(found) == 0 && len(others) > 0:
		return nil, wrongPlatform("in it", strings.Join(others, ", "), s.Platform)
	case len(found) == 0 && tag != "":
		return nil, fmt.Errorf("no image in it is called %q; it has %s", tag, listed(tags))
	case len(found) == 0:
		return nil, errors.New("there is no image in it")
	case len(found) > 1:
		return nil, fmt.Errorf("%d images are in it; name one as oci:DIR:NAME, it has %s", len(found), listed(tags))
	}
	if !found[0].MediaType.IsIndex() {
		return d.image(found[0])
	}
	inner, err := d.inner(found[0].Digest)
	if err != nil {
		return nil, err
	}
	// The name belongs to the index. The images in it are distinguished by platform only.
	return s.choose(d, inner, "")
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none with a name"
	}
	return strings.Join(names, ", ")
}

// fromArchive returns an image of an archive of docker save, which may be compressed with
// gzip.
func fromArchive(ctx context.Context, text string) (*imageSource, error) {
	file, tag, err := splitLocalName(text)
	if err != nil {
		return nil, err
	}
	opener := func() (io.ReadCloser, error) { return openArchive(ctx, file) }
	manifest, err := archiveManifest(opener)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range manifest {
		names = append(names, d.RepoTags...)
	}
	var wanted *name.Tag
	if tag != "" {
		if wanted, err = tagOf(tag, names); err != nil {
			return nil, err
		}
		names = []string{tag}
	} else if len(manifest) > 1 {
		return nil, fmt.Errorf("%d images are in it; name one as tar:FILE:NAME, it has %s", len(manifest), listed(names))
	}
	image, err := tarball.Image(opener, wanted)
	if err != nil {
		return nil, err
	}
	// An archive does not contain the sizes of its layers. Finding them out means to read
	// them, so the source is not sized.
	o := &imageSource{
		image: image,
		open: func(_ context.Context, l v1.Layer, _ func(string, int64)) (io.ReadCloser, error) {
			return l.Uncompressed()
		},
	}
	for _, n := range names {
		// The image gets the names it had when it was saved, as with docker load.
		full, err := fullName(n)
		if err != nil {
			return nil, err
		}
		o.also = append(o.also, full)
	}
	return o, nil
}

// tagOf finds a name in the list of an archive. Both are normalized: docker save writes
// node:22, and the user may ask for docker.io/library/node:22.
func tagOf(text string, names []string) (*name.Tag, error) {
	wanted, err := name.NewTag(text)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		if has, err := name.NewTag(n); err == nil && has.Name() == wanted.Name() {
			return &wanted, nil
		}
	}
	return nil, fmt.Errorf("no image in it is called %q; it has %s", text, listed(names))
}

// fullName returns a name as the store records it: with its registry and tag, or with the
// absolute path of a file.
func fullName(image string) (string, error) {
	// The name of a file is valid in any working directory, so that image list and image rm can
	// use it.
	if isLocal(image) {
		kind, rest, _ := strings.Cut(image, ":")
		absolute, err := filepath.Abs(rest)
		return kind + ":" + absolute, err
	}
	ref, err := name.ParseReference(image)
	if err != nil {
		return "", invalidName(image, err)
	}
	return ref.Name(), nil
}

// shortName is the inverse of fullName for names of Docker Hub, for messages.
func shortName(full string) string {
	short := strings.TrimPrefix(full, name.DefaultRegistry+"/")
	return strings.TrimPrefix(short, "library/")
}
