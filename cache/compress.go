package cache

import (
	"io"

	"github.com/klauspost/compress/zstd"
)

// Pack returns a compressed stream, for stores that do not keep files. It ends with the
// error of from.
func Pack(from io.Reader) io.ReadCloser {
	r, w := io.Pipe()
	go func() { w.CloseWithError(pack(from, w)) }()
	return r
}

func pack(from io.Reader, to io.Writer) error {
	const window = 1 << 20 // bytes; the fastest level gains nothing from more
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
	const maxMemory = 64 << 20 // bytes, independent of the stream's header
	r, err := zstd.NewReader(from, zstd.WithDecoderMaxMemory(maxMemory), zstd.WithDecoderConcurrency(2))
	if err != nil {
		return nil, err
	}
	return r.IOReadCloser(), nil
}
