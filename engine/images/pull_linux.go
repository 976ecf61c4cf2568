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
	"path/filepath"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/untar"
)

// origin is an image where it comes from.
type origin struct {
	image  v1.Image
	name   string   // full
	also   []string // further names it has there
	digest string   // of what the registry has
	sized  bool     // how large its layers are is known; else it is dear to ask
	open   func(ctx context.Context, l v1.Layer, tell func(status string, current int64)) (io.ReadCloser, error)
	done   func(l v1.Layer) // a layer is unpacked
}

// together is how many layers are brought at the same time.
const together = 3

// Pull brings an image, also where its name is known here already; layers that
// are here are not brought again, and a download that was cut off goes on where
// it stopped. The error is a *engine.Fault, or why ctx ended.
func (s *Store) Pull(ctx context.Context, name string, tell func(engine.Progress)) (*Image, error) {
	unlock, err := s.lock(ctx, "lock", unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	defer unlock()
	doing := "pull image " + name
	from, err := s.from(ctx, name)
	if err == nil {
		var image *Image
		if image, err = s.bring(ctx, from, name, tell); err == nil {
			return image, nil
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, s.fault(err, doing, isLocal(name))
}

func (s *Store) bring(ctx context.Context, from *origin, name string, tell func(engine.Progress)) (*Image, error) {
	config, err := from.image.ConfigFile()
	if err != nil {
		return nil, err
	}
	id, err := from.image.ConfigName()
	if err != nil {
		return nil, err
	}
	if has := platformOf(config); has != "" && has != s.Platform {
		return nil, wrongPlatform(name, has, s.Platform)
	}
	layers, err := layersOf(from.image, config)
	if err != nil {
		return nil, err
	}
	r := record{ID: id.String(), Env: config.Config.Env, Entrypoint: config.Config.Entrypoint, Created: config.Created.Time}
	for _, l := range layers {
		r.Layers = append(r.Layers, l.id)
	}
	if err := s.hasRoom(from, layers, name, tell); err != nil {
		return nil, err
	}
	if err := s.bringLayers(ctx, from, layers, progress{name, from.sized, tell}); err != nil {
		return nil, err
	}
	for _, l := range r.Layers {
		r.Size += s.layerSize(l)
	}
	var known record
	if s.read(&known, "images", id.Hex+".json") != nil { // one that is in use keeps its file
		if err := s.write(r, "images", id.Hex+".json"); err != nil {
			return nil, err
		}
	}
	for _, n := range append([]string{from.name}, from.also...) {
		if err := s.write(label{Name: n, Image: r.ID, Digest: from.digest, Pulled: s.Now()}, "names", fileOf(n)); err != nil {
			return nil, err
		}
	}
	image, err := s.use(r.ID)
	if err == nil {
		image.About.Name, image.About.Digest = shortName(from.name), from.digest
	}
	return image, err
}

// hasRoom tells how large what is missing is, and refuses what has no room here.
func (s *Store) hasRoom(from *origin, layers []layer, name string, tell func(engine.Progress)) error {
	if !from.sized {
		return nil
	}
	var size engine.ImageSize
	for _, l := range layers {
		if bytes, err := l.Size(); err == nil && !s.hasLayer(l.id) {
			size.Download += bytes
		}
	}
	size.Disk = engine.EstimateUnpacked(size.Download)
	free, err := freeSpace(s.Dir)
	if err != nil {
		return nil // then it is seen when it is full
	}
	if tell != nil && size.Download > 0 {
		tell(engine.Progress{Image: name, Status: engine.Sized, Total: size.Download, Disk: size.Disk, Free: free})
	}
	return size.CheckSpace(name, s.Dir, free)
}

// freeSpace returns how many bytes a user may still write in a directory, or where it
// will be.
func freeSpace(dir string) (int64, error) {
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	for err == unix.ENOENT && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		err = unix.Statfs(dir, &fs)
	}
	return int64(fs.Bavail) * fs.Bsize, err
}

// layer is a layer of an image, and the digest of its content that the image says.
// (A layer asked for it may have to unzip itself.)
type layer struct {
	v1.Layer
	id string
}

func layersOf(image v1.Image, config *v1.ConfigFile) ([]layer, error) {
	blobs, err := image.Layers()
	if err != nil {
		return nil, err
	}
	ids := config.RootFS.DiffIDs
	if len(ids) != len(blobs) {
		return nil, fmt.Errorf("%w: %d layers, and the configuration has %d", errDigest, len(blobs), len(ids))
	}
	var all []layer
	for i, id := range ids {
		all = append(all, layer{blobs[i], id.Hex})
	}
	return all, nil
}

// progress tells what becomes of a layer.
type progress struct {
	image string
	sized bool
	tell  func(engine.Progress)
}

func (p progress) of(l layer) func(status string, current int64) {
	var total int64
	if p.sized {
		total, _ = l.Size()
	}
	return func(status string, current int64) {
		if p.tell != nil {
			p.tell(engine.Progress{Image: p.image, Layer: shortID(l.id), Status: status, Current: current, Total: total})
		}
	}
}

// shortID is how a person is shown a digest.
func shortID(id string) string { return id[:min(len(id), 12)] }

// bringLayers brings what is not here; the first failure ends the others.
func (s *Store) bringLayers(ctx context.Context, from *origin, layers []layer, p progress) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var telling sync.Mutex
	slots := make(chan struct{}, together)
	var group sync.WaitGroup
	for _, l := range layers {
		tell := p.of(l)
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			err := s.bringLayer(ctx, from, l, func(status string, current int64) {
				telling.Lock()
				defer telling.Unlock()
				tell(status, current)
			})
			if err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

func (s *Store) bringLayer(ctx context.Context, from *origin, l layer, tell func(string, int64)) error {
	unlock, err := s.lock(ctx, "locks/"+l.id, unix.LOCK_EX) // somebody else may be bringing it
	if err != nil {
		return err
	}
	defer unlock()
	if s.hasLayer(l.id) {
		return nil
	}
	if _, err := os.Lstat(s.path("layers", l.id)); err == nil { // somebody removed some of it
		if err := s.discard(ctx, l.id); err != nil {
			return err
		}
	}
	packed, err := from.open(ctx, l.Layer, tell)
	if err != nil {
		return err
	}
	defer packed.Close()
	tell("Extracting", 0)
	if err := s.unpackLayer(ctx, l.id, packed); err != nil {
		return fmt.Errorf("layer %s: %w", shortID(l.id), err)
	}
	from.done(l.Layer)
	tell("Pull complete", 0)
	return nil
}

// unpackLayer unpacks a layer beside the others, and gives it its name when it is
// whole and what its digest says.
func (s *Store) unpackLayer(ctx context.Context, id string, packed io.Reader) error {
	temp := s.path("temp", id)
	if err := s.Options.Remove(ctx, temp); err != nil { // of one who was cut off
		return err
	}
	if err := errors.Join(os.MkdirAll(temp, 0o755), os.MkdirAll(s.path("layers"), 0o755), os.Mkdir(temp+"/fs", 0o755), os.Chmod(temp+"/fs", 0o755)); err != nil {
		return err
	}
	plain, closePlain, err := decompress(packed)
	if err != nil {
		return err
	}
	defer closePlain()
	hash, size := sha256.New(), counter(0)
	err = s.Unpack(ctx, temp+"/fs", io.TeeReader(io.TeeReader(plain, hash), &size))
	if got := hex.EncodeToString(hash.Sum(nil)); err == nil && got != id {
		err = fmt.Errorf("%w: its content is sha256:%s", errDigest, got)
	}
	if err == nil {
		err = s.write(int64(size), "temp", id, "size.json")
	}
	if err == nil {
		err = os.Rename(temp, s.path("layers", id))
	}
	if err != nil {
		return errors.Join(err, s.Options.Remove(context.WithoutCancel(ctx), temp))
	}
	return nil
}

// errDigest is content that is not what its name says.
var errDigest = errors.New("the content does not fit its digest")

// counter counts bytes.
type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

// decompress returns what is packed in a stream, by its first bytes.
func decompress(packed io.Reader) (io.Reader, func(), error) {
	r := bufio.NewReaderSize(packed, 1<<20)
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

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

func platformOf(c *v1.ConfigFile) string {
	if c.OS == "" || c.Architecture == "" {
		return ""
	}
	return c.OS + "/" + c.Architecture
}

func wrongPlatform(name, has, wanted string) error {
	return &engine.Fault{Kind: engine.WrongArch, Message: fmt.Sprintf("image %s: it is for %s, and this machine is %s", name, has, wanted),
		Hint: "Without Docker, images run only on their own architecture: use another image, or Docker with an emulator."}
}

// fault turns an error of bringing an image into one that a user can do something
// about.
func (s *Store) fault(err error, doing string, local bool) error {
	var known *engine.Fault
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return &engine.Fault{Kind: engine.DiskFull, Err: err, Message: fmt.Sprintf("%s: no space left for it in %s", doing, s.Dir),
			Hint: "Free space there, remove images with buildlocal image prune, or let XDG_CACHE_HOME lead elsewhere."}
	case errors.Is(err, errDigest), errors.Is(err, untar.ErrEscape):
		return &engine.Fault{Kind: engine.Refused, Err: err, Message: fmt.Sprintf("%s: %v", doing, err), Hint: "The image is corrupt or malicious. Do not use it."}
	case local && errors.Is(err, fs.ErrNotExist):
		return &engine.Fault{Kind: engine.NoImage, Err: err, Message: fmt.Sprintf("%s: %v", doing, err), Hint: "Check the path: oci:DIR is a directory with index.json, tar:FILE what docker save wrote."}
	case local:
		return &engine.Fault{Kind: engine.NoImage, Err: err, Message: fmt.Sprintf("%s: %v", doing, err), Hint: "It takes an OCI layout, a directory, as oci:DIR, and what docker save wrote as tar:FILE."}
	}
	return registryFault(err, doing)
}

// isLocal tells an image of this machine from a name.
func isLocal(name string) bool {
	return strings.HasPrefix(name, "oci:") || strings.HasPrefix(name, "tar:")
}

// isDisk tells what a disk says from what a network says.
func isDisk(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path)
}
