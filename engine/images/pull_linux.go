package images

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/tree"
	"github.com/buildlocal/buildlocal/internal/untar"
)

// imageSource is an image in a registry or a file.
type imageSource struct {
	image  v1.Image
	name   string   // full name, see fullName
	also   []string // further names it has in an archive
	digest string   // of the image in its registry
	sized  bool     // the sizes of its layers are known; otherwise finding out means to read them
	open   func(ctx context.Context, l v1.Layer, report func(status string, current int64)) (io.ReadCloser, error)
	done   func(l v1.Layer) // called when a layer was unpacked
}

// maxConcurrentLayers is how many layers are pulled at the same time, as in Docker.
const maxConcurrentLayers = 3

// Pull pulls an image, even if its name is in the store already. Layers in the store are
// not downloaded again, and an interrupted download is resumed. report may be nil. The error
// is a *engine.Fault or the cause of ctx.
//
// The returned image is locked before the lock of the store is released, so that a removal that
// waits for it keeps the new layers.
func (s *Store) Pull(ctx context.Context, name string, report func(engine.Progress)) (*Image, error) {
	unlock, err := s.lock(ctx, "lock", unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	defer unlock()
	doing := "pull " + name
	from, err := s.openSource(ctx, name)
	if err == nil {
		var image *Image
		if image, err = s.pull(ctx, from, name, report); err == nil {
			return image, nil
		}
	}
	// Whatever failed, it did so because the context has ended, and its cause is what the user
	// wants to know.
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, s.fault(err, doing, isLocal(name))
}

// pull stores an image: first its layers, then its record, then its names. Each refers to those
// before it, so an interrupted pull leaves nothing that is incomplete, only layers that the
// next pull finds.
func (s *Store) pull(
	ctx context.Context, from *imageSource, name string, report func(engine.Progress),
) (*Image, error) {
	config, err := from.image.ConfigFile()
	if err != nil {
		return nil, err
	}
	id, err := from.image.ConfigName()
	if err != nil {
		return nil, err
	}
	if err := s.checkPlatform(from, name); err != nil {
		return nil, err
	}
	layers, err := describeLayers(from.image, config)
	if err != nil {
		return nil, err
	}
	r := record{
		ID:         id.String(),
		Env:        config.Config.Env,
		Entrypoint: config.Config.Entrypoint,
		Created:    config.Created.Time,
	}
	for _, l := range layers {
		r.Layers = append(r.Layers, l.id)
	}
	if err := s.checkSpace(from, layers, name, report); err != nil {
		return nil, err
	}
	if err := s.pullLayers(ctx, from, layers, progress{name, from.sized, report}); err != nil {
		return nil, err
	}
	for _, l := range r.Layers {
		r.Size += s.layerSize(l)
	}
	var known record
	if s.read(&known, "images", id.Hex+".json") != nil { // the lock of an image in use is held on this very file
		if err := s.write(r, "images", id.Hex+".json"); err != nil {
			return nil, err
		}
	}
	// An image of that ID may be known under other names already. They keep it.
	for _, n := range append([]string{from.name}, from.also...) {
		if err := s.write(label{Name: n, Image: r.ID, Digest: from.digest, Pulled: s.Now()}, "names", fileOf(n)); err != nil {
			return nil, err
		}
	}
	// From here on, the lock of the image protects it.
	image, err := s.acquire(r.ID)
	if err == nil {
		image.About.Name, image.About.Digest = shortName(from.name), from.digest
	}
	return image, err
}

// checkSpace reports the size of the missing layers, and returns a fault if the disk has
// not enough space for them.
func (s *Store) checkSpace(from *imageSource, layers []layer, name string, report func(engine.Progress)) error {
	if !from.sized {
		return nil
	}
	var size engine.ImageSize
	for _, l := range layers {
		// A layer that several images share is in the store once.
		if bytes, err := l.Size(); err == nil && !s.hasLayer(l.id) {
			size.Download += bytes
		}
	}
	size.Disk = engine.EstimateUnpacked(size.Download)
	free, known := tree.FreeSpaceFor(s.Dir)
	if !known {
		return nil // a full disk is then reported when writing fails
	}
	if report != nil && size.Download > 0 {
		report(engine.Progress{Image: name, Status: engine.Sized, Total: size.Download, Disk: size.Disk, Free: free})
	}
	return size.CheckSpace(name, s.Dir, free)
}

// layer is a layer of an image, with the digest of its uncompressed content according to
// the configuration. (Layer.DiffID may have to decompress the layer.)
type layer struct {
	v1.Layer
	id string
}

func describeLayers(image v1.Image, config *v1.ConfigFile) ([]layer, error) {
	blobs, err := image.Layers()
	if err != nil {
		return nil, err
	}
	ids := config.RootFS.DiffIDs
	// Without this check, layers would be stored under the digests of others.
	if len(ids) != len(blobs) {
		return nil, fmt.Errorf("%w: %d layers, and the configuration has %d", errDigest, len(blobs), len(ids))
	}
	var all []layer
	for i, id := range ids {
		all = append(all, layer{blobs[i], id.Hex})
	}
	return all, nil
}

// progress reports the progress of layers.
type progress struct {
	image  string
	sized  bool
	report func(engine.Progress)
}

// of returns a function that reports the progress of a layer, in bytes of its download.
func (p progress) of(l layer) func(status string, current int64) {
	var total int64
	if p.sized {
		total, _ = l.Size()
	}
	return func(status string, current int64) {
		if p.report != nil {
			p.report(engine.Progress{Image: p.image, Layer: shortID(l.id), Status: status, Current: current, Total: total})
		}
	}
}

// shortID returns the beginning of a digest, for messages.
func shortID(id string) string { return id[:min(len(id), 12)] }

// pullLayers pulls the missing layers. The first error cancels the others.
//
// Layers are independent directories, so their order does not matter. Concurrency also hides
// that hashing, decompressing and writing a single layer do not take equally long.
func (s *Store) pullLayers(ctx context.Context, from *imageSource, layers []layer, p progress) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var telling sync.Mutex
	slots := make(chan struct{}, maxConcurrentLayers)
	var group sync.WaitGroup
	for _, l := range layers {
		report := p.of(l)
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			err := s.pullLayer(ctx, from, l, func(status string, current int64) {
				// The caller's function need not be safe for concurrent use.
				telling.Lock()
				defer telling.Unlock()
				report(status, current)
			})
			if err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// pullLayer downloads and unpacks a layer, unless the store has it.
func (s *Store) pullLayer(ctx context.Context, from *imageSource, l layer, report func(string, int64)) error {
	unlock, err := s.lock(ctx, "locks/"+l.id, unix.LOCK_EX) // a concurrent pull may be downloading it
	if err != nil {
		return err
	}
	defer unlock()
	// Checked again under the lock: the pull that had it may have stored the layer.
	if s.hasLayer(l.id) {
		return nil
	}
	if _, err := os.Lstat(s.path("layers", l.id)); err == nil { // part of it was removed
		if err := s.discard(ctx, l.id); err != nil {
			return err
		}
	}
	packed, err := from.open(ctx, l.Layer, report)
	if err != nil {
		return err
	}
	defer packed.Close()
	report("Extracting", 0)
	if err := s.unpackLayer(ctx, l.id, packed); err != nil {
		return fmt.Errorf("layer %s: %w", shortID(l.id), err)
	}
	// The download is kept until here. If unpacking fails, for example on a full disk, the next
	// pull does not need the network.
	from.done(l.Layer)
	report("Pull complete", 0)
	return nil
}

// unpackLayer unpacks a layer into a temporary directory, and renames it if it is complete
// and has the right digest.
//
// The digest is known only at the end, so unchecked content is unpacked first. That is safe:
// package untar is made for hostile streams, and nothing uses the temporary directory.
func (s *Store) unpackLayer(ctx context.Context, id string, packed io.Reader) error {
	temp := s.path("temp", id)
	if err := s.Options.Remove(ctx, temp); err != nil { // of an interrupted pull
		return err
	}
	// Layers without an entry for the root directory get the mode of a usual one, whatever the
	// umask.
	if err := errors.Join(os.MkdirAll(temp, 0o755), os.MkdirAll(s.path("layers"), 0o755), os.Mkdir(temp+"/fs", 0o755),
		os.Chmod(temp+"/fs", 0o755)); err != nil {
		return err
	}
	plain, closePlain, err := decompress(packed)
	if err != nil {
		return err
	}
	defer closePlain()
	stream := hashStream(ctx, plain)
	err = s.Unpack(ctx, temp+"/fs", stream)
	got, size := stream.finish()
	if err == nil && got != id {
		err = fmt.Errorf("%w: its content is sha256:%s", errDigest, got)
	}
	if err == nil {
		// The size is that of the stream, which is close to the space on disk and does not need
		// a walk through the files.
		err = s.write(size, "temp", id, "size.json")
	}
	if err == nil {
		err = os.Rename(temp, s.path("layers", id))
	}
	if err != nil {
		// A canceled pull must clean up too.
		return errors.Join(err, s.Options.Remove(context.WithoutCancel(ctx), temp))
	}
	return nil
}

// errDigest means that content does not match its digest.
var errDigest = errors.New("the content does not fit its digest")

// decompress detects the compression of a stream by its first bytes. The media type is not
// used: archives have none, and those of some registries are wrong.
func decompress(packed io.Reader) (io.Reader, func(), error) {
	r := bufio.NewReaderSize(packed, blockSize/4) // smaller than a block, so that most blocks are not copied from it
	head, err := r.Peek(6)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		return z, func() { z.Close() }, nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		// A frame declares how much memory its window needs, so a small layer could ask for all
		// of it.
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxMemory(1<<30))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	case bytes.HasPrefix(head, []byte("BZh")):
		return bzip2.NewReader(r), func() {}, nil
	}
	return r, func() {}, nil
}

// hashOf returns a short hash for file names. It only has to avoid accidental collisions.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// platformOf returns the platform of an image, or "" for an image that does not declare one,
// such as some built by scripts.
func platformOf(c *v1.ConfigFile) string {
	if c.OS == "" || c.Architecture == "" {
		return ""
	}
	return c.OS + "/" + c.Architecture
}

func wrongPlatform(name, has, wanted string) error {
	return &engine.Fault{
		Kind:    engine.WrongArch,
		Message: fmt.Sprintf("image %s: it is for %s, and this host is %s", name, has, wanted),
		Hint:    "Without Docker, images run only on their own architecture: use another image, or Docker with an emulator.",
	}
}

// fault returns a fault for an error of pulling an image.
func (s *Store) fault(err error, doing string, local bool) error {
	var known *engine.Fault
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return &engine.Fault{
			Kind:    engine.DiskFull,
			Err:     err,
			Message: fmt.Sprintf("%s: no space left for it in %s", doing, s.Dir),
			Hint:    "Free up space there, remove images with buildlocal image prune, or set XDG_CACHE_HOME.",
		}
	case errors.Is(err, errDigest), errors.Is(err, untar.ErrEscape):
		return &engine.Fault{
			Kind:    engine.Refused,
			Err:     err,
			Message: fmt.Sprintf("%s: %v", doing, err),
			Hint:    "The image is corrupt or malicious. Do not use it.",
		}
	case local && errors.Is(err, fs.ErrNotExist):
		return &engine.Fault{
			Kind:    engine.NoImage,
			Err:     err,
			Message: fmt.Sprintf("%s: %v", doing, err),
			Hint:    "Check the path: oci:DIR is a directory with index.json, tar:FILE an archive of docker save.",
		}
	case local:
		return &engine.Fault{
			Kind:    engine.NoImage,
			Err:     err,
			Message: fmt.Sprintf("%s: %v", doing, err),
			Hint:    "Use oci:DIR for the directory of an OCI layout, and tar:FILE for an archive of docker save.",
		}
	}
	// Any other error is one of the connection or of the registry.
	return registryFault(err, doing)
}

// isLocal reports whether a name is that of a file of this host.
func isLocal(name string) bool {
	_, _, local := engine.CutLocal(name)
	return local
}

// isDisk distinguishes errors of the disk from those of the network.
func isDisk(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path)
}
