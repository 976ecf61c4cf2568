package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/regular"
)

// fromRegistry returns an image of a registry for this platform.
func (s *Store) fromRegistry(ctx context.Context, image string) (*imageSource, error) {
	ref, err := name.ParseReference(image)
	if err != nil {
		return nil, invalidName(image, err)
	}
	auth, err := authenticator(s.Login, ref.Context().RegistryStr())
	if err != nil {
		return nil, &engine.Fault{Kind: engine.NoRegistry, Err: err, Message: err.Error(),
			Hint: "Check the credential helper of the docker configuration."}
	}
	platform, err := v1.ParsePlatform(s.Platform)
	if err != nil {
		return nil, err
	}
	// The library retries errors of connections and servers, but not 429, which registries use
	// for limits.
	again := retryTransport{remote.DefaultTransport}
	got, err := remote.Get(
		ref,
		remote.WithContext(ctx),
		remote.WithAuth(auth),
		remote.WithPlatform(*platform),
		remote.WithUserAgent(userAgent),
		remote.WithTransport(again),
	)
	if err != nil {
		return nil, err
	}
	found, err := got.Image()
	if err != nil {
		if strings.Contains(err.Error(), "no child with platform") {
			return nil, &engine.Fault{
				Kind:    engine.WrongArch,
				Err:     err,
				Message: fmt.Sprintf("pull %s: the registry does not have it for %s", image, s.Platform),
				Hint: "Without Docker, images run only on their own architecture: use another image, or Docker with " +
					"an emulator.",
			}
		}
		return nil, err
	}
	// The layers are downloaded by this package, because the library cannot resume. This is its
	// transport with the login for them.
	blobs, err := transport.NewWithContext(
		ctx,
		ref.Context().Registry,
		auth,
		again,
		[]string{ref.Scope(transport.PullScope)},
	)
	if err != nil {
		return nil, err
	}
	d := &download{
		store: s, client: &http.Client{Transport: transport.NewUserAgent(blobs, userAgent)}, repository: ref.Context(),
	}
	return &imageSource{
		image: found, name: ref.Name(), digest: got.Digest.String(), sized: true, open: d.open, done: d.done,
	}, nil
}

// download downloads layers of one repository.
type download struct {
	store      *Store
	client     *http.Client
	repository name.Repository
}

// maxAttempts is how many consecutive attempts of a download may make no progress.
const maxAttempts = 3

// open downloads a layer, checks its digest, and opens it.
//
// A layer is downloaded to a file first and not unpacked from the connection: a slow disk would
// otherwise let it time out, and an interrupted download could not be resumed.
func (d *download) open(ctx context.Context, l v1.Layer, report func(string, int64)) (io.ReadCloser, error) {
	digest, err := l.Digest()
	if err != nil {
		return nil, err
	}
	size, err := l.Size()
	if err != nil {
		return nil, err
	}
	// The name is the digest of the download, so another image with the same layer resumes it
	// too.
	if err := os.MkdirAll(d.store.path("partial"), 0o755); err != nil {
		return nil, err
	}
	partial := d.store.path("partial", digest.Hex)
	if err := regular.Check(partial); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(partial, os.O_CREATE|os.O_RDWR|regular.OpenFlags, 0o644)
	if err != nil {
		return nil, err
	}
	p := &partialFile{download: d, file: file, digest: digest, size: size, report: report}
	if err := p.whole(ctx); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	// It is read once more for unpacking, most likely from memory.
	_, err = file.Seek(0, io.SeekStart)
	return file, err
}

// done removes the downloaded file of a layer.
func (d *download) done(l v1.Layer) {
	if digest, err := l.Digest(); err == nil {
		_ = os.Remove(d.store.path("partial", digest.Hex))
	}
}

// partialFile is a partly downloaded layer.
type partialFile struct {
	*download
	file   *os.File
	digest v1.Hash
	size   int64
	report func(string, int64)

	// The hash is that of the has bytes in the file. Each byte is hashed once, when it arrives.
	hash hash.Hash
	has  int64
}

// whole downloads the missing part. It resumes after connection errors, and starts again if
// the digest does not match.
func (p *partialFile) whole(ctx context.Context) error {
	if err := p.read(); err != nil {
		return err
	}
	var err error
	for tries := 0; tries < maxAttempts; tries++ {
		before := p.has
		err = p.more(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		// The digest covers the part of an earlier run too, so a file that was damaged
		// meanwhile is noticed here.
		if err == nil && p.has >= p.size {
			if hex.EncodeToString(p.hash.Sum(nil)) == p.digest.Hex {
				return nil
			}
			err = errDigest
			if resetErr := p.reset(); resetErr != nil {
				return resetErr
			}
		}
		var refused *transport.Error
		// A registry that refuses, or a disk that is full, will do so again.
		if errors.As(err, &refused) && !refused.Temporary() || isDisk(err) {
			return err
		}
		// Only attempts without progress count: a large layer over a bad connection needs many.
		if p.has > before {
			tries = -1
		}
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// read hashes the part that an earlier download has left.
func (p *partialFile) read() error {
	p.hash = sha256.New()
	n, err := io.Copy(p.hash, p.file)
	p.has = n
	if err == nil && p.has > p.size {
		return p.reset()
	}
	return err
}

// reset discards the downloaded part.
func (p *partialFile) reset() error {
	p.hash, p.has = sha256.New(), 0
	_, err := p.file.Seek(0, io.SeekStart)
	return errors.Join(err, p.file.Truncate(0))
}

// more requests the missing part.
func (p *partialFile) more(ctx context.Context) error {
	// An earlier run was interrupted between the last byte and unpacking.
	if p.has == p.size {
		return nil
	}
	url := fmt.Sprintf(
		"%s://%s/v2/%s/blobs/%s",
		p.repository.Scheme(),
		p.repository.RegistryStr(),
		p.repository.RepositoryStr(),
		p.digest,
	)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if p.has > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", p.has))
	}
	answer, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if p.has > 0 && answer.StatusCode >= http.StatusBadRequest && answer.StatusCode < http.StatusInternalServerError {
		return errors.Join(errRange, p.reset()) // the registry refuses the range
	}
	if err := transport.CheckError(answer, http.StatusOK, http.StatusPartialContent); err != nil {
		return err
	}
	from := fmt.Sprintf("bytes %d-", p.has)
	if p.has > 0 &&
		(answer.StatusCode != http.StatusPartialContent || !strings.HasPrefix(answer.Header.Get("Content-Range"), from)) {
		if err := p.reset(); err != nil { // the registry ignores ranges and sends everything
			return err
		}
	}
	// A registry that sends more than the manifest says must not fill the disk.
	_, err = io.Copy(p, io.LimitReader(answer.Body, p.size-p.has))
	return err
}

// Write appends downloaded data.
func (p *partialFile) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	p.hash.Write(b[:n])
	p.has += int64(n)
	p.report("Downloading", p.has)
	return n, err
}

// errRange means that a registry does not support ranges.
var errRange = errors.New("the registry gives no part of a layer")

func invalidName(image string, err error) error {
	return &engine.Fault{Kind: engine.NoImage, Err: err, Message: fmt.Sprintf("image %q: %v", image, err),
		Hint: "Check the name of the image: REGISTRY/NAME:TAG, oci:DIR or tar:FILE."}
}

// registryFault returns a fault for an error of a registry, or of the connection to it. Only
// causes that a user can do something about get a hint of their own.
func registryFault(err error, doing string) error {
	var refused *transport.Error
	var dns *net.DNSError
	text := err.Error()
	kind, way := engine.NoRegistry, "The registry cannot be reached: check the network and the proxy (HTTPS_PROXY), "+
		"or use an image that is here (buildlocal image)."
	switch {
	case errors.As(err, &refused):
		kind, way = refusal(refused)
	case errors.As(err, &dns):
		text = "cannot resolve " + dns.Name
		way = "The registry's name is not known here: check the image's name, the network, and the proxy."
	case strings.Contains(err.Error(), "x509: "):
		way = "The registry's certificate is not trusted: add its CA to the system, or set SSL_CERT_FILE."
	}
	return &engine.Fault{Kind: kind, Err: err, Message: doing + ": " + text, Hint: way}
}

// refusal returns the kind and the hint for a response of a registry.
func refusal(e *transport.Error) (engine.Kind, string) {
	switch e.StatusCode {
	case http.StatusNotFound:
		return engine.NoImage, "The registry does not have this image: check the name and the tag."
	// Docker Hub and others respond so to unknown names too, so as not to reveal private ones.
	case http.StatusUnauthorized, http.StatusForbidden:
		// ECR passwords expire after 12 hours, and ECR says so only in the message.
		for _, d := range e.Errors {
			if strings.Contains(strings.ToLower(d.Message), "expired") {
				return engine.NoRegistry, "The login at the registry has expired: log in again with docker login, or renew the " +
					"password in the docker configuration."
			}
		}
		return engine.NoImage, "The registry does not have this image, or asks for a login: check the name, or put a " +
			"login into the docker configuration (docker login)."
	case http.StatusTooManyRequests:
		return engine.NoRegistry, "The registry limits how often it may be asked: wait, or log in."
	}
	return engine.NoRegistry, "The registry is out of order: try again later."
}
