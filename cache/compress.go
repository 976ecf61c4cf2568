package cache

import (
	"io"

	"github.com/klauspost/compress/zstd"
)

// Pack returns a stream compressed with zstd, for stores that do not keep files. It ends
// with the error of from. A caller that closes it early ends the goroutine that compresses.
func Pack(from io.Reader) io.ReadCloser {
	r, w := io.Pipe()
	go func() { w.CloseWithError(pack(from, w)) }()
	return r
}

func pack(from io.Reader, to io.Writer) error {
	const window = 1 << 20 // bytes; the fastest level gains nothing from more
	// Little memory is used, because parts of the stream also wait in memory for their upload.
	// The checksum detects damage in the bucket.
	w, err := zstd.NewWriter(to, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(window),
		zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(true))
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, from); err != nil {
		_ = w.Close()
		return err
	}
	return w.Close()
}

// Unpack reverses Pack. Reading fails for a stream that was truncated or changed.
func Unpack(from io.Reader) (io.ReadCloser, error) {
	// The header of a stream asks for memory, and the stream may come from a bucket that
	// others can write to.
	const maxMemory = 64 << 20 // bytes
	r, err := zstd.NewReader(from, zstd.WithDecoderMaxMemory(maxMemory), zstd.WithDecoderConcurrency(2))
	if err != nil {
		return nil, err
	}
	return r.IOReadCloser(), nil
}
