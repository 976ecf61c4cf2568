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
type pieces struct {
	w   *bufio.Writer
	zip *gzip.Writer // reused, because each one allocates about a megabyte
}

func newPieces(w *bufio.Writer) *pieces { return &pieces{w, newZip()} }

func newZip() *gzip.Writer {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // an error is for invalid levels only
	return z
}

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
	packed, err := pack(p.zip, text)
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
func pack(z *gzip.Writer, text []byte) ([]byte, error) {
	var packed bytes.Buffer
	encoder := base64.NewEncoder(base64.StdEncoding, &packed)
	z.Reset(encoder)
	if _, err := z.Write(text); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	err := encoder.Close() // which writes the last bytes
	return packed.Bytes(), err
}

// packer compresses pieces on all processors, and writes them in their order.
type packer struct {
	jobs  chan *packedPiece
	order chan *packedPiece // the same, in their order
	done  chan error        // the result of writing all of them
}

// packedPiece is a piece that is being compressed.
type packedPiece struct {
	text   []byte // before and after it is compressed
	err    error  // why it could not be compressed
	packed chan struct{}
}

// newPacker starts writing pieces with the ids log-0, log-1 and so on.
func (p *pieces) newPacker() *packer {
	workers := runtime.GOMAXPROCS(0)
	k := &packer{
		jobs: make(chan *packedPiece), order: make(chan *packedPiece, workers), done: make(chan error, 1),
	}
	for range workers {
		go func() {
			zip := newZip()
			for piece := range k.jobs {
				piece.text, piece.err = pack(zip, piece.text)
				close(piece.packed)
			}
		}()
	}
	go func() { k.done <- p.writeAll(k.order) }()
	return k
}

// writeAll writes pieces as they are compressed. After an error the others are dropped.
func (p *pieces) writeAll(order <-chan *packedPiece) error {
	var failed error
	number := 0
	for piece := range order {
		<-piece.packed
		if failed == nil {
			failed = piece.err
		}
		if failed == nil {
			failed = p.packed(fmt.Sprintf("log-%d", number), piece.text)
		}
		number++
	}
	return failed
}

// add compresses a piece. It waits while as many pieces as processors wait to be written.
func (k *packer) add(text []byte) {
	piece := &packedPiece{text: bytes.Clone(text), packed: make(chan struct{})}
	k.order <- piece
	k.jobs <- piece
}

// end waits until all pieces are written.
func (k *packer) end() error {
	close(k.jobs)
	close(k.order)
	return <-k.done
}
