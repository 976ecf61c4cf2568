package page

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/klauspost/compress/gzip"
)

// pieces writes the data for the scripts. A piece is compressed with gzip, which browsers
// can unpack (DecompressionStream), encoded as base64, and written as a script element of
// type text/plain, which browsers do not run. Ids are those of the package, and not escaped.
type pieces struct{ w *bufio.Writer }

func newPieces(w *bufio.Writer) *pieces { return &pieces{w} }

// all writes all pieces except those of the log. The scripts wait for a piece that is not
// there yet, so the order is that of their use.
func (p *pieces) all(b Build) error {
	if err := p.json("build", buildData(b)); err != nil {
		return err
	}
	if b.Reports != nil {
		if err := p.json("tests", testData(b.Reports)); err != nil {
			return err
		}
	}
	if b.Log != nil {
		if err := p.logIndex(b); err != nil {
			return err
		}
	}
	if b.Reports != nil {
		return p.coverage(b)
	}
	return nil
}

// json writes a value as JSON.
func (p *pieces) json(id string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	packed, err := pack(text)
	if err != nil {
		return err
	}
	return p.packed(id, packed)
}

// packed writes a piece that is compressed and encoded.
func (p *pieces) packed(id string, text []byte) error {
	_, _ = fmt.Fprintf(p.w, "<script type=\"text/plain\" id=\"data-%s\">", id)
	_, _ = p.w.Write(text)
	_, err := p.w.WriteString("</script>\n")
	return err
}

// pack compresses and encodes the text of a piece.
func pack(text []byte) ([]byte, error) {
	var packed bytes.Buffer
	encoder := base64.NewEncoder(base64.StdEncoding, &packed)
	z, err := gzip.NewWriterLevel(encoder, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(text); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	err = encoder.Close() // which writes the last bytes
	return packed.Bytes(), err
}

// packer compresses pieces on all processors, and keeps their order.
type packer struct {
	queue chan chan packedPiece // one for each piece, in their order
	done  chan error            // the result of writing all of them
}

// packedPiece is a piece, or why it could not be compressed.
type packedPiece struct {
	text []byte
	err  error
}

// newPacker starts writing pieces with the ids log-0, log-1 and so on.
func (p *pieces) newPacker() *packer {
	k := &packer{queue: make(chan chan packedPiece, runtime.GOMAXPROCS(0)), done: make(chan error, 1)}
	go func() {
		var failed error
		for number := 0; ; number++ {
			piece, more := <-k.queue
			if !more {
				break
			}
			packed := <-piece
			if failed == nil {
				failed = packed.err
			}
			if failed == nil {
				failed = p.packed(fmt.Sprintf("log-%d", number), packed.text)
			}
		}
		k.done <- failed
	}()
	return k
}

// add compresses a piece. It waits while as many pieces as processors are being compressed.
func (k *packer) add(text []byte) {
	piece := make(chan packedPiece, 1)
	k.queue <- piece
	own := bytes.Clone(text)
	go func() {
		packed, err := pack(own)
		piece <- packedPiece{packed, err}
	}()
}

// end waits until all pieces are written.
func (k *packer) end() error {
	close(k.queue)
	return <-k.done
}
