package untar

import (
	"archive/tar"
	"bufio"
	"io"
	"sync"
)

const (
	batchText  = 256 << 10 // bytes of text in a batch
	batchParts = 256       // entries in a batch, if they are small
	maxBatches = 8

	// minPart is the least room in a batch for a file that does not fit in it. A file with less
	// room begins in the next batch, so that it is not written in tiny pieces.
	minPart = 32 << 10
)

// entries parses a tar stream ahead. Parsing takes a third as long as creating the files,
// so it has a goroutine of its own. The files are created by only one: each may depend on all
// before it, such as a link on its path.
//
// Entries are passed on in batches, because waking the other goroutine for each one would
// take longer than parsing it.
type entries struct {
	free, full chan *batch
	stop       chan struct{} // closed when no more entries are wanted
	group      sync.WaitGroup

	current *batch // the one that is being used up
	used    int    // parts of it
	text    []byte // of the last header, if it was not used yet
}

// batch is a sequence of parts.
type batch struct {
	text  []byte // of all parts
	parts []part
	err   error // that follows the parts; io.EOF at the end of the stream
}

// part is a header with the first part of its text. Without a header it continues the text of
// the part before it.
type part struct {
	header *tar.Header
	text   []byte
}

// readEntries starts to read a stream. The caller must call close.
func readEntries(from io.Reader) *entries {
	e := &entries{
		free: make(chan *batch, maxBatches), full: make(chan *batch, maxBatches), stop: make(chan struct{}),
	}
	for range maxBatches {
		e.free <- &batch{}
	}
	e.group.Go(func() { e.parse(stoppable{from, e.stop}) })
	return e
}

// stoppable is a stream that ends when stop is closed. Without it, close would wait for the
// end of a stream that may have none.
type stoppable struct {
	io.Reader
	stop <-chan struct{}
}

// Read implements io.Reader.
func (s stoppable) Read(p []byte) (int, error) {
	select {
	case <-s.stop:
		return 0, io.ErrClosedPipe
	default:
		return s.Reader.Read(p)
	}
}

// close stops reading, and waits until nothing uses the stream anymore.
func (e *entries) close() {
	close(e.stop)
	e.group.Wait()
}

// next returns the next header, or the error that ended the stream.
func (e *entries) next() (*tar.Header, error) {
	for {
		p := e.peek()
		if p == nil {
			return nil, e.current.err
		}
		e.used++
		if p.header != nil { // otherwise the text of an entry that has been skipped
			e.text = p.text
			return p.header, nil
		}
	}
}

// more returns the next part of the text of the last header. It is empty at its end, and
// valid until the next call of any method.
func (e *entries) more() []byte {
	if text := e.text; len(text) > 0 {
		e.text = nil
		return text
	}
	p := e.peek()
	if p == nil || p.header != nil {
		return nil
	}
	e.used++
	return p.text
}

// peek returns the next part, or nil after the last.
func (e *entries) peek() *part {
	for e.current == nil || e.used == len(e.current.parts) {
		if e.current != nil {
			if e.current.err != nil {
				return nil
			}
			e.free <- e.current
		}
		e.current, e.used = <-e.full, 0
	}
	return &e.current.parts[e.used]
}

// parse fills batches until the stream ends or close is called.
func (e *entries) parse(from io.Reader) {
	r := tar.NewReader(bufio.NewReaderSize(from, batchText/4))
	b := e.take()
	for b != nil {
		h, err := r.Next()
		if err == nil {
			b = e.add(b, h, r)
			continue
		}
		if err == io.EOF {
			if b = e.pass(b); b == nil { // the entries are unpacked, and may be refused, in the meantime
				return
			}
			// The digest of the stream includes the padding behind its end.
			if _, copyErr := io.Copy(io.Discard, from); copyErr != nil {
				err = copyErr
			}
		}
		b.err = err
		e.full <- b
		return
	}
}

// take returns an empty batch, or nil after close.
func (e *entries) take() *batch {
	select {
	case b := <-e.free:
		if b.text == nil { // memory of batches that a small stream does not need is not allocated
			b.text = make([]byte, 0, batchText)
		}
		clear(b.parts) // headers that were used are garbage
		b.text, b.parts = b.text[:0], b.parts[:0]
		return b
	case <-e.stop:
		return nil
	}
}

// add adds an entry with its text. It returns the batch for the next one, or nil after close.
// If reading fails, r.Next returns the error again.
func (e *entries) add(b *batch, h *tar.Header, r io.Reader) *batch {
	size := int64(0)
	if isFile(h) {
		size = h.Size
	}
	if len(b.parts) >= batchParts || int64(cap(b.text)-len(b.text)) < min(size, minPart) {
		if b = e.pass(b); b == nil {
			return nil
		}
	}
	b.parts = append(b.parts, part{header: h})
	for size > 0 {
		if len(b.text) == cap(b.text) {
			if b = e.pass(b); b == nil {
				return nil
			}
			b.parts = append(b.parts, part{})
		}
		begin := len(b.text)
		n, err := io.ReadFull(r, b.text[begin:begin+int(min(size, int64(cap(b.text)-begin)))])
		b.text = b.text[:begin+n]
		b.parts[len(b.parts)-1].text = b.text[begin:]
		if size -= int64(n); err != nil {
			break
		}
	}
	return b
}

// pass passes a batch on, and returns the next one, or nil after close.
func (e *entries) pass(b *batch) *batch {
	e.full <- b // there is a place for every batch, so this does not wait
	return e.take()
}

// isFile reports whether an entry has text that is unpacked.
func isFile(h *tar.Header) bool {
	return h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeGNUSparse || h.Typeflag == tar.TypeCont
}
