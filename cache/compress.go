package cache

import (
	"io"

	"github.com/klauspost/compress/zstd"
)

// Pack returns a stream compressed, for where it is not kept as files. Its end, or the
// error that cut it off, is that of from.
func Pack(from io.Reader) io.ReadCloser {
	r, w := io.Pipe()
	go func() { w.CloseWithError(pack(from, w)) }()
	return r
}

func pack(from io.Reader, to io.Writer) error {
	const window = 1 << 20 // bytes, as fast needs
	w, err := zstd.NewWriter(to, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(true))
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, from); err != nil {
		_ = w.Close()
		return err
	}
	return w.Close()
}

// Unpack returns what Pack made a stream of. One that is cut off or changed is an
// error in place of its end.
func Unpack(from io.Reader) (io.ReadCloser, error) {
	const most = 64 << 20 // bytes in memory, whatever the stream asks for
	r, err := zstd.NewReader(from, zstd.WithDecoderMaxMemory(most), zstd.WithDecoderConcurrency(2))
	if err != nil {
		return nil, err
	}
	return r.IOReadCloser(), nil
}
