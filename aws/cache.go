package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/buildlocal/buildlocal/cache"
)

// bucketCache keeps a cache in S3: an object for each entry, packed, below the
// location, named by scope, version, architecture and key. The layout is that of this program.
// CodeBuild does not document its own, so the two cannot share entries.
type bucketCache struct {
	account        *Account
	client         *s3.Client
	bucket, prefix string
}

// Cache returns the store at a location such as s3://bucket/prefix. It makes no request; the error
// is about the form of the location.
func (a *Account) Cache(location string) (cache.Store, error) {
	bucket, prefix, _ := strings.Cut(strings.TrimPrefix(location, "s3://"), "/")
	if bucket == "" || !strings.HasPrefix(location, "s3://") {
		return nil, fmt.Errorf("%s is not a bucket; use s3://BUCKET or s3://BUCKET/PREFIX", location)
	}
	return &bucketCache{account: a, client: a.s3(), bucket: bucket, prefix: strings.Trim(prefix, "/")}, nil
}

// s3 returns a client without a limit for whole requests, since the duration of a transfer depends on
// its size. Only the time until the response begins is limited.
func (a *Account) s3() *s3.Client {
	return s3.NewFromConfig(a.config, func(o *s3.Options) {
		o.HTTPClient = awshttp.NewBuildableClient().
			WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = 6 * a.o.Patience })
		o.UsePathStyle = o.BaseEndpoint != nil // other servers seldom have a host name for each bucket
		o.DisableLogOutputChecksumValidationSkipped = true
	})
}

// dir returns the prefix of the entries of a name. Entries with a key are in a directory of their
// own, because a key may be any text, including that of keyless.
func (c *bucketCache) dir(scope, version, arch string) string {
	dir := scope + "/" + version + "/" + arch
	if c.prefix != "" {
		dir = c.prefix + "/" + dir
	}
	return dir
}

const (
	packedSuffix = ".tar.zst"
	keyedDir     = "/key/"
	keyless      = "/cache" + packedSuffix
)

// object returns the name of an entry. Keys are escaped, because / would create levels.
func (c *bucketCache) object(dir, key string) string {
	if key == "" {
		return dir + keyless
	}
	return dir + keyedDir + url.PathEscape(key) + packedSuffix
}

// Names of an object's metadata.
const (
	// Values are URL-encoded, because metadata travels in headers, in ASCII.
	metaKey      = "key"
	metaImage    = "image"
	metaBuild    = "build"
	metaUncached = "cold"
	metaSaved    = "saved"
)

// Find returns an entry. See cache.Store.
func (c *bucketCache) Find(ctx context.Context, n cache.Name) (*cache.Entry, error) {
	dir := c.dir(n.Scope, n.Version(), n.Arch)
	e, err := c.head(ctx, c.object(dir, n.Key))
	// An exact match wins over any fallback. Other errors, such as missing rights, end the search.
	if !errors.Is(err, cache.ErrNotFound) || n.Key == "" {
		return e, err
	}
	for _, prefix := range n.Fallbacks {
		newest, err := c.newest(ctx, dir+keyedDir+url.PathEscape(prefix))
		if err != nil {
			return nil, err
		}
		if newest == "" {
			continue
		}
		if e, err := c.head(ctx, newest); !errors.Is(err, cache.ErrNotFound) { // it may have expired in the meantime
			return e, err
		}
	}
	return nil, cache.ErrNotFound
}

// head returns the metadata of an object.
func (c *bucketCache) head(ctx context.Context, object string) (*cache.Entry, error) {
	got, err := c.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &c.bucket, Key: &object})
	if isMissing(err) {
		return nil, cache.ErrNotFound
	}
	if err != nil {
		return nil, c.explain(ctx, "HeadObject", err)
	}
	said := func(name string) string { // the object may be from another tool
		text, err := url.QueryUnescape(got.Metadata[name])
		if err != nil {
			return ""
		}
		return text
	}
	e := &cache.Entry{ID: object, Key: said(metaKey), Image: said(metaImage), Build: said(metaBuild),
		Size: sdk.ToInt64(got.ContentLength), Packed: true}
	// The time of S3 is that of a single clock, unlike that of the builds in the metadata.
	e.Saved = sdk.ToTime(got.LastModified)
	if seconds, err := strconv.ParseFloat(got.Metadata[metaUncached], 64); err == nil {
		e.UncachedDuration = time.Duration(seconds * float64(time.Second))
	}
	return e, nil
}

// isMissing reports whether the object does not exist. Without permission to list the
// bucket, S3 answers 403 instead (documented); that error is returned unchanged.
func isMissing(err error) bool {
	var answer smithy.APIError
	return errors.As(err, &answer) && (answer.ErrorCode() == "NotFound" || answer.ErrorCode() == "NoSuchKey")
}

// newest returns the most recently saved object whose name begins with prefix, or "". S3 lists
// objects by name, so all pages have to be read.
func (c *bucketCache) newest(ctx context.Context, prefix string) (string, error) {
	var best types.Object
	pages := s3.NewListObjectsV2Paginator(c.client, &s3.ListObjectsV2Input{Bucket: &c.bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", c.explain(ctx, "ListObjectsV2", err)
		}
		for _, o := range page.Contents {
			if best.Key == nil || sdk.ToTime(o.LastModified).After(sdk.ToTime(best.LastModified)) {
				best = o
			}
		}
	}
	return sdk.ToString(best.Key), nil
}

// Open streams an entry. See cache.Store.
func (c *bucketCache) Open(ctx context.Context, e *cache.Entry) (io.ReadCloser, error) {
	got, err := c.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &c.bucket, Key: &e.ID})
	if err != nil {
		return nil, c.explain(ctx, "GetObject", err)
	}
	// The entry is unpacked while it is downloaded, and never stored locally.
	stream, err := cache.Unpack(got.Body)
	if err != nil {
		return nil, errors.Join(err, got.Body.Close())
	}
	return &opened{stream, got.Body}, nil
}

// opened is a stream and the body that it is read from.
type opened struct {
	io.ReadCloser
	body io.Closer
}

// Close ends both.
func (o *opened) Close() error { return errors.Join(o.ReadCloser.Close(), o.body.Close()) }

// Save saves an entry. See cache.Store. An upload in parts becomes visible when it is complete, so
// an interrupted save leaves the previous entry.
func (c *bucketCache) Save(ctx context.Context, s cache.SaveRequest, files io.Reader) (*cache.Entry, error) {
	e := s.Entry
	e.ID, e.Packed = c.object(c.dir(e.Scope, e.Version, e.Arch), e.Key), true
	if e.Key != "" {
		if _, err := c.head(ctx, e.ID); !errors.Is(err, cache.ErrNotFound) {
			if err == nil {
				err = cache.ErrImmutable
			}
			return nil, err
		}
	}
	// HeadObject first saves packing an entry that exists; IfNoneMatch below decides if two builds
	// pass it at once.
	packed := cache.Pack(files)
	defer packed.Close()
	counted := &counter{Reader: packed}
	input := &transfermanager.UploadObjectInput{
		Bucket: &c.bucket, Key: &e.ID, Body: counted, ContentType: sdk.String("application/zstd"),
		Metadata: map[string]string{
			metaKey: url.QueryEscape(e.Key), metaImage: url.QueryEscape(e.Image), metaBuild: url.QueryEscape(e.Build),
			metaUncached: strconv.FormatFloat(e.UncachedDuration.Seconds(), 'f', -1, 64),
			metaSaved:    e.Saved.UTC().Format(time.RFC3339),
		},
	}
	if e.Key != "" {
		input.IfNoneMatch = sdk.String("*") // entries with a key are immutable: the first build wins
	}
	uploader := transfermanager.New(c.client, func(o *transfermanager.Options) {
		// The length is not known in advance, so the uploader holds each part in memory.
		o.Concurrency, o.PartSizeBytes, o.MultipartUploadThreshold = uploads, partSize, partSize
	})
	_, err := uploader.UploadObject(ctx, input)
	var answer smithy.APIError
	switch {
	// S3 reports 412 if the object exists, and 409 if another conditional upload is in progress
	// (documented).
	case errors.As(err, &answer) && (answer.ErrorCode() == "PreconditionFailed" ||
		answer.ErrorCode() == "ConditionalRequestConflict"):
		return nil, cache.ErrImmutable
	case err != nil:
		return nil, c.explain(ctx, "PutObject", err)
	}
	e.Size = counted.n
	return &e, nil
}

// uploads is how many parts of partSize bytes are uploaded concurrently. 5 MiB is the minimum of S3
// for a part, and 10,000 is its maximum number (documented), so a cache has at most 50 GB.
const (
	uploads  = 2
	partSize = 5 << 20
)

// counter counts the bytes that are read.
type counter struct {
	io.Reader
	n int64
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// Close does nothing: there is no local state. See cache.Store.
func (c *bucketCache) Close() error { return nil }

// explain is Account.explain with the bucket.
func (c *bucketCache) explain(ctx context.Context, action string, err error) error {
	return fmt.Errorf("s3://%s: %w", c.bucket, c.account.explain(ctx, action, err))
}
