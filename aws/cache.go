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
// location, named by scope, version, architecture and key.
type bucketCache struct {
	account        *Account
	client         *s3.Client
	bucket, prefix string
}

// Cache returns the store at a location such as s3://bucket/prefix. The error says
// what is wrong with the location.
func (a *Account) Cache(location string) (cache.Store, error) {
	bucket, prefix, _ := strings.Cut(strings.TrimPrefix(location, "s3://"), "/")
	if bucket == "" || !strings.HasPrefix(location, "s3://") {
		return nil, fmt.Errorf("invalid value %q; expected s3://BUCKET or s3://BUCKET/PREFIX", location)
	}
	return &bucketCache{account: a, client: a.s3(), bucket: bucket, prefix: strings.Trim(prefix, "/")}, nil
}

// s3 returns a client. Its requests may take as long as there is something to move.
func (a *Account) s3() *s3.Client {
	return s3.NewFromConfig(a.config, func(o *s3.Options) {
		o.HTTPClient = awshttp.NewBuildableClient().
			WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = 6 * a.o.Patience })
		o.UsePathStyle = o.BaseEndpoint != nil // elsewhere than at AWS a bucket seldom has a name of its own
		o.DisableLogOutputChecksumValidationSkipped = true
	})
}

// dir is the prefix of the entries of a name. Those with a key have a directory of
// their own, for a key may be anything.
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

func (c *bucketCache) object(dir, key string) string {
	if key == "" {
		return dir + keyless
	}
	return dir + keyedDir + url.PathEscape(key) + packedSuffix
}

// Names of an object's metadata.
const (
	metaKey   = "key"
	metaImage = "image"
	metaBuild = "build"
	metaCold  = "cold"
	metaSaved = "saved"
)

// Find returns an entry. See cache.Store.
func (c *bucketCache) Find(ctx context.Context, n cache.Name) (*cache.Entry, error) {
	dir := c.dir(n.Scope, n.Version(), n.Arch)
	e, err := c.head(ctx, c.object(dir, n.Key))
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
		if e, err := c.head(ctx, newest); !errors.Is(err, cache.ErrNotFound) { // or it was removed meanwhile
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
	said := func(name string) string { // other tools may have written it
		text, err := url.QueryUnescape(got.Metadata[name])
		if err != nil {
			return ""
		}
		return text
	}
	e := &cache.Entry{ID: object, Key: said(metaKey), Image: said(metaImage), Build: said(metaBuild),
		Size: sdk.ToInt64(got.ContentLength), Packed: true}
	e.Saved = sdk.ToTime(got.LastModified)
	if seconds, err := strconv.ParseFloat(got.Metadata[metaCold], 64); err == nil {
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

// newest returns the object whose name begins with prefix that was saved last; "" for
// none.
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

// Save keeps an entry. See cache.Store. It is one upload in parts, which S3 shows when
// it is whole, or not at all.
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
	packed := cache.Pack(files)
	defer packed.Close()
	counted := &counter{Reader: packed}
	input := &transfermanager.UploadObjectInput{
		Bucket: &c.bucket, Key: &e.ID, Body: counted, ContentType: sdk.String("application/zstd"),
		Metadata: map[string]string{
			metaKey: url.QueryEscape(e.Key), metaImage: url.QueryEscape(e.Image), metaBuild: url.QueryEscape(e.Build),
			metaCold:  strconv.FormatFloat(e.UncachedDuration.Seconds(), 'f', -1, 64),
			metaSaved: e.Saved.UTC().Format(time.RFC3339),
		},
	}
	if e.Key != "" {
		input.IfNoneMatch = sdk.String("*") // of two builds the first one's stays
	}
	uploader := transfermanager.New(c.client, func(o *transfermanager.Options) {
		// what is below the last is held whole
		o.Concurrency, o.PartSizeBytes, o.MultipartUploadThreshold = uploads, partSize, partSize
	})
	_, err := uploader.UploadObject(ctx, input)
	var answer smithy.APIError
	switch {
	case errors.As(err, &answer) && (answer.ErrorCode() == "PreconditionFailed" ||
		answer.ErrorCode() == "ConditionalRequestConflict"):
		return nil, cache.ErrImmutable
	case err != nil:
		return nil, c.explain(ctx, "PutObject", err)
	}
	e.Size = counted.n
	return &e, nil
}

// uploads is how many parts of partSize bytes are on their way at once; S3 takes none
// that are smaller (documented), and 10,000 of them: 50 GB.
const (
	uploads  = 2
	partSize = 5 << 20
)

// counter counts the bytes that are read.
type counter struct {
	io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// Close does nothing: an object stays. See cache.Store.
func (c *bucketCache) Close() error { return nil }

func (c *bucketCache) explain(ctx context.Context, action string, err error) error {
	return fmt.Errorf("s3://%s: %w", c.bucket, c.account.explain(ctx, action, err))
}
