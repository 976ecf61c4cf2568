package tree

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/buildlocal/buildlocal/internal/human"
)

// block is the size in bytes of the pieces that become holes if they are zero. Most file
// systems allocate space in units of this size.
const block = 4096

// BufferSize is the size of a copy buffer in bytes, a multiple of block.
const BufferSize = 256 << 10

// CopySparse copies from into the empty file to, with holes instead of blocks of zeros, and
// returns the size. If buffer is nil, it allocates one of BufferSize bytes.
func CopySparse(to *os.File, from io.Reader, buffer []byte) (int64, error) {
	var size int64
	err := forEachDataRun(from, buffer, func(at int64, run []byte, zero bool) error {
		size = at + int64(len(run))
		if zero {
			return nil
		}
		_, err := to.WriteAt(run, at)
		return err
	})
	if err != nil {
		return size, err
	}
	return size, to.Truncate(size)
}

// dataSize returns how many bytes of a stream CopySparse would write.
func dataSize(from io.Reader, buffer []byte) (int64, error) {
	var data int64
	err := forEachDataRun(from, buffer, func(_ int64, run []byte, zero bool) error {
		if !zero {
			data += int64(len(run))
		}
		return nil
	})
	return data, err
}

// forEachDataRun reads a stream and calls visit for each run of blocks that are all zero or
// all not zero.
func forEachDataRun(from io.Reader, buffer []byte, visit func(at int64, run []byte, zero bool) error) error {
	if buffer == nil {
		buffer = make([]byte, BufferSize)
	}
	for at := int64(0); ; {
		n, err := io.ReadFull(from, buffer)
		for rest := buffer[:n]; len(rest) > 0; {
			run, zero := nextDataRun(rest)
			if err := visit(at, run, zero); err != nil {
				return err
			}
			at, rest = at+int64(len(run)), rest[len(run):]
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// nextDataRun returns the run of blocks at the beginning of text.
func nextDataRun(text []byte) (run []byte, zero bool) {
	isZero := func(at int) bool {
		piece := text[at:min(at+block, len(text))]
		return piece[0] == 0 && bytes.Equal(piece[1:], piece[:len(piece)-1])
	}
	zero = isZero(0)
	end := block
	for end < len(text) && isZero(end) == zero {
		end += block
	}
	return text[:min(end, len(text))], zero
}

// NoSpaceError reports that files do not fit on a file system.
type NoSpaceError struct {
	Dir  string
	What string // the files in the plural, such as artifacts
	Free int64  // bytes
	Need int64  // bytes, at least
	Hint string // the next step; empty for freeing space or another directory
}

// Error names the directory and the sizes.
func (e *NoSpaceError) Error() string {
	return fmt.Sprintf("no space left in %s: %s free; %s need %s\n%s", e.Dir, human.Bytes(e.Free), e.What,
		human.Bytes(e.Need), cmp.Or(e.Hint, "Free space there, or choose a directory elsewhere"))
}

// Unwrap returns the error of a write to a full file system.
func (e *NoSpaceError) Unwrap() error { return syscall.ENOSPC }

// CheckSpace returns a *NoSpaceError if a directory has fewer than need bytes free.
func CheckSpace(dir, what string, need int64) error {
	if free, known := FreeSpace(dir); known && need > free {
		return &NoSpaceError{Dir: dir, What: what, Free: free, Need: need}
	}
	return nil
}

// IfFull returns full with the free space of its directory if err is the error of a write to a full
// file system. Other errors are returned unchanged.
func IfFull(err error, full NoSpaceError) error {
	if !isFull(err) {
		return err
	}
	full.Free, _ = FreeSpace(full.Dir)
	return &full
}

// isFull reports whether a write failed because the file system is full.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) }
