package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"sync"
	"sync/atomic"
)

const (
	blockSize = 256 << 10 // bytes, small enough to stay in the cache of a CPU between its two readers
	maxBlocks = 32        // of a stream, so that hashing can fall behind by 8 MiB
)

// hashedStream reads a stream ahead and hashes it, while a consumer reads it too. Reading
// (which may decompress), hashing and unpacking take about as long as each other, so they run
// at the same time. They share the blocks of the stream: nothing is copied for the hash.
//
// Unpacking is slow where a layer has many small files, and hashing where it has large ones.
// The blocks in between let each catch up.
type hashedStream struct {
	ctx     context.Context
	from    io.Reader
	free    chan *block
	hashing chan *block
	reading chan *block   // for the consumer
	stop    chan struct{} // closed when the consumer wants no more
	group   sync.WaitGroup

	hash   hash.Hash
	hashed int64
	err    error // why the stream ended; it may be read once reading is closed

	rest     []byte // of the consumer's block
	current  *block
	consumed int64
}

// block is a part of a stream.
type block struct {
	text  []byte
	users atomic.Int32 // that have not released it yet
}

// hashStream starts to read a stream, which ends with ctx. The caller must call finish.
func hashStream(ctx context.Context, from io.Reader) *hashedStream {
	s := &hashedStream{
		ctx: ctx, from: from, hash: sha256.New(), stop: make(chan struct{}),
		free: make(chan *block, maxBlocks), hashing: make(chan *block, maxBlocks), reading: make(chan *block, maxBlocks),
	}
	for range maxBlocks {
		s.free <- &block{} // its memory is allocated when it is needed: most layers are small
	}
	s.group.Go(s.readAll)
	s.group.Go(s.hashAll)
	return s
}

// readAll fills blocks until the stream ends or the consumer stops.
func (s *hashedStream) readAll() {
	defer close(s.reading)
	defer close(s.hashing)
	for s.err == nil {
		var b *block
		select {
		case b = <-s.free:
		case <-s.stop:
			return
		}
		if b.text == nil {
			b.text = make([]byte, blockSize)
		}
		// io.ReadFull would hide the difference between the end of the stream and that of a
		// truncated compressed one, which is io.ErrUnexpectedEOF.
		n := 0
		for b.text = b.text[:blockSize]; n < blockSize && s.err == nil; {
			var more int
			more, s.err = s.from.Read(b.text[n:])
			n += more
		}
		// Downloaded layers are plain files, whose reads do not end with ctx.
		if err := context.Cause(s.ctx); err != nil {
			s.err = err
			return
		}
		if b.text = b.text[:n]; n > 0 {
			b.users.Store(2)
			s.hashing <- b // there is a place for every block, so this does not wait
			s.reading <- b
		}
	}
}

// hashAll hashes all blocks in their order.
func (s *hashedStream) hashAll() {
	for b := range s.hashing {
		s.hash.Write(b.text)
		s.hashed += int64(len(b.text))
		s.release(b)
	}
}

// release ends the use of a block by the hash or by the consumer. The last one returns it to
// readAll, which may then overwrite it.
func (s *hashedStream) release(b *block) {
	if b.users.Add(-1) == 0 {
		s.free <- b
	}
}

// next gets the next block for the consumer if its last one is used up.
func (s *hashedStream) next() error {
	for len(s.rest) == 0 {
		if s.current != nil {
			s.release(s.current)
		}
		if s.current = <-s.reading; s.current == nil {
			return s.err
		}
		s.rest = s.current.text
	}
	return nil
}

// Read implements io.Reader.
func (s *hashedStream) Read(p []byte) (int, error) {
	if err := s.next(); err != nil {
		return 0, err
	}
	n := copy(p, s.rest)
	s.rest, s.consumed = s.rest[n:], s.consumed+int64(n)
	return n, nil
}

// WriteTo implements io.WriterTo, which saves a copy.
func (s *hashedStream) WriteTo(w io.Writer) (int64, error) {
	var written int64
	for {
		err := s.next()
		if err == io.EOF {
			return written, nil
		}
		if err != nil {
			return written, err
		}
		n, err := w.Write(s.rest)
		written += int64(n)
		s.rest, s.consumed = s.rest[n:], s.consumed+int64(n)
		if err != nil {
			return written, err
		}
	}
}

// finish waits until nothing reads the stream anymore. It returns the digest of the content
// without sha256:, and its size in bytes. The digest of a stream that the consumer has not
// read to its end is not that of its content.
func (s *hashedStream) finish() (digest string, size int64) {
	close(s.stop)
	s.group.Wait()
	if s.consumed != s.hashed {
		return "", s.consumed
	}
	return hex.EncodeToString(s.hash.Sum(nil)), s.hashed
}
