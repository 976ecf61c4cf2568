package images

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// maxDocument bounds an index, manifest or configuration of an image, in bytes. Registries
// accept 4 MiB.
const maxDocument = 32 << 20

// layoutDir is an OCI image layout. The layout package of go-containerregistry opens
// anything that has the name of a blob, and blocks on a named pipe; this type opens regular
// files only, and stops when ctx ends.
type layoutDir struct {
	ctx context.Context
	dir string
}

// index returns index.json.
func (d layoutDir) index() (*v1.IndexManifest, error) {
	text, err := regular.Read(filepath.Join(d.dir, "index.json"), maxDocument)
	if err != nil {
		return nil, err
	}
	return v1.ParseIndexManifest(bytes.NewReader(text))
}

// inner returns an index that is a blob. Builders such as buildx write the images of all
// platforms, with attestations, as an index in index.json.
func (d layoutDir) inner(h v1.Hash) (*v1.IndexManifest, error) {
	text, err := d.document(h)
	if err != nil {
		return nil, err
	}
	return v1.ParseIndexManifest(bytes.NewReader(text))
}

// path returns the file of a blob. v1.Hash has parsed the digest, so it has no separators.
func (d layoutDir) path(h v1.Hash) string { return filepath.Join(d.dir, "blobs", h.Algorithm, h.Hex) }

// document returns a small blob, whose digest is checked.
func (d layoutDir) document(h v1.Hash) ([]byte, error) {
	if err := context.Cause(d.ctx); err != nil {
		return nil, err
	}
	text, err := regular.Read(d.path(h), maxDocument)
	if err != nil {
		return nil, err
	}
	// Nothing else checks it: the digest of the image is that of its configuration, and those
	// of its layers are in it.
	if got, _, err := v1.SHA256(bytes.NewReader(text)); err != nil || got != h {
		return nil, fmt.Errorf("%w: %s", errDigest, d.path(h))
	}
	return text, nil
}

// image returns the image of a manifest.
func (d layoutDir) image(desc v1.Descriptor) (v1.Image, error) {
	text, err := d.document(desc.Digest)
	if err != nil {
		return nil, err
	}
	core := &layoutImage{dir: d, kind: desc.MediaType, text: text}
	if err := json.Unmarshal(text, &core.manifest); err != nil {
		return nil, fmt.Errorf("%s: %w", d.path(desc.Digest), err)
	}
	return partial.CompressedToImage(core)
}

// layoutImage implements partial.CompressedImageCore.
type layoutImage struct {
	dir      layoutDir
	kind     types.MediaType
	text     []byte
	manifest v1.Manifest
}

// MediaType returns the type of the manifest.
func (i *layoutImage) MediaType() (types.MediaType, error) { return i.kind, nil }

// RawManifest returns the manifest.
func (i *layoutImage) RawManifest() ([]byte, error) { return i.text, nil }

// RawConfigFile returns the image's configuration.
func (i *layoutImage) RawConfigFile() ([]byte, error) {
	return i.dir.document(i.manifest.Config.Digest)
}

// LayerByDigest returns a layer, or the configuration as one.
func (i *layoutImage) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	// An image may have the same layer several times. Its files are the same, so the first one
	// will do.
	for _, desc := range append([]v1.Descriptor{i.manifest.Config}, i.manifest.Layers...) {
		if desc.Digest == h {
			return layoutLayer{i.dir, desc}, nil
		}
	}
	return nil, fmt.Errorf("layer %s is not in the manifest", h)
}

// layoutLayer implements partial.CompressedLayer.
type layoutLayer struct {
	dir  layoutDir
	desc v1.Descriptor
}

// Digest returns the digest of the compressed layer.
func (l layoutLayer) Digest() (v1.Hash, error) { return l.desc.Digest, nil }

// Size returns the size of the compressed layer in bytes.
func (l layoutLayer) Size() (int64, error) { return l.desc.Size, nil }

// MediaType returns the type of the layer.
func (l layoutLayer) MediaType() (types.MediaType, error) { return l.desc.MediaType, nil }

// Compressed returns the compressed layer. Its digest is not checked here. That of the
// uncompressed content is checked when it is unpacked, and is the one that the configuration
// vouches for.
func (l layoutLayer) Compressed() (io.ReadCloser, error) {
	return openWithContext(l.dir.ctx, l.dir.path(l.desc.Digest))
}

// openWithContext opens a regular file. Reading it ends with ctx.
func openWithContext(ctx context.Context, name string) (*contextReader, error) {
	file, err := regular.Open(name)
	if err != nil {
		return nil, err
	}
	return &contextReader{file, ctx}, nil
}
