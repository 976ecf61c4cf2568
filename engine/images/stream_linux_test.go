package images

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"testing"
	"testing/iotest"
)

func TestHashedStream_PassesOnAndHashes(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, blockSize - 1, blockSize, blockSize + 1, maxBlocks*blockSize + 1000} {
		text := bytes.Repeat([]byte("0123456789a"), size/11+1)[:size]
		sum := sha256.Sum256(text)
		for name, read := range map[string]func(*hashedStream) ([]byte, error){
			"Read": func(s *hashedStream) ([]byte, error) { return io.ReadAll(iotest.HalfReader(s)) },
			"WriteTo": func(s *hashedStream) ([]byte, error) {
				var b bytes.Buffer
				_, err := io.Copy(&b, s)
				return b.Bytes(), err
			},
		} {
			s := hashStream(t.Context(), iotest.DataErrReader(bytes.NewReader(text)))
			got, err := read(s)
			digest, n := s.finish()
			if err != nil || !bytes.Equal(got, text) || digest != hex.EncodeToString(sum[:]) || n != int64(size) {
				t.Errorf("%s of %d bytes: got %d, digest %s of %d, %v", name, size, len(got), digest, n, err)
			}
		}
	}
}

// TestHashedStream_Unread checks that content which was read ahead but not unpacked has no
// digest.
func TestHashedStream_Unread(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 3 * blockSize, 2 * maxBlocks * blockSize} {
		s := hashStream(t.Context(), bytes.NewReader(make([]byte, size)))
		if _, err := io.ReadFull(s, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		if digest, n := s.finish(); digest != "" || n != 5 {
			t.Errorf("%d bytes: digest %q of %d", size, digest, n)
		}
	}
}

func TestHashedStream_Errors(t *testing.T) {
	t.Parallel()
	stopped, cancel := context.WithCancelCause(t.Context())
	cancel(os.ErrDeadlineExceeded)
	text := bytes.NewReader(make([]byte, blockSize+5))
	for want, s := range map[error]*hashedStream{
		io.ErrUnexpectedEOF:    hashStream(t.Context(), io.MultiReader(text, iotest.ErrReader(io.ErrUnexpectedEOF))),
		os.ErrDeadlineExceeded: hashStream(stopped, endless{}),
	} {
		_, err := io.Copy(io.Discard, s)
		if _, again := s.Read(make([]byte, 1)); !errors.Is(err, want) || !errors.Is(again, want) {
			t.Errorf("got %v, then %v, want %v", err, again, want)
		}
		s.finish()
	}
}

// endless is a stream without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
