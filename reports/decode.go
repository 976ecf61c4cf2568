package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/buildlocal/buildlocal/internal/sax"
)

// document is a JSON text that is read piece by piece, and knows at which line it is.
type document struct {
	*json.Decoder
	in *lineCounter
}

// newDocument reads over a byte order mark.
func newDocument(in io.Reader) document {
	counter := &lineCounter{in: sax.UTF8(in)}
	return document{json.NewDecoder(counter), counter}
}

// lineCounter remembers where the lines of a text end that was read, as far as a
// decoder reads ahead.
type lineCounter struct {
	in    io.Reader
	read  int64
	lines int
	last  []byte // what was read last
}

// Read implements io.Reader.
func (l *lineCounter) Read(p []byte) (int, error) {
	l.lines += bytes.Count(l.last, []byte("\n"))
	n, err := l.in.Read(p)
	l.read += int64(n)
	l.last = append(l.last[:0], p[:n]...)
	return n, err
}

// line is the line of an offset that is not far behind what was read.
func (l *lineCounter) line(offset int64) int {
	back := max(0, min(int64(len(l.last)), l.read-offset))
	return l.lines + bytes.Count(l.last[:int64(len(l.last))-back], []byte("\n")) + 1
}

func (d document) wrong(format string, args ...any) error {
	offset := d.InputOffset()
	return &sax.Error{Line: d.in.line(offset), Offset: offset, Text: fmt.Sprintf(format, args...)}
}

// fault says where a text is no JSON.
func (d document) fault(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return d.wrong("the file ends too early")
	case errors.As(err, &syntax):
		return &sax.Error{Line: d.in.line(syntax.Offset), Offset: syntax.Offset, Text: syntax.Error()}
	case errors.As(err, &kind):
		return d.wrong("%s is expected to be %s, found %s", kind.Field, kind.Type, kind.Value)
	}
	return err
}

// expect reads a bracket.
func (d document) expect(want json.Delim, what string) error {
	token, err := d.Token()
	if err != nil {
		return d.fault(err)
	}
	if token != want {
		return d.wrong("%s is expected, found %s", what, kindOf(token))
	}
	return nil
}

func kindOf(token json.Token) string {
	switch t := token.(type) {
	case json.Delim:
		return t.String()
	case nil:
		return "null"
	case string:
		return "a text"
	}
	return "a number or truth"
}

// key reads the next key of an object; false at its end.
func (d document) key() (string, bool, error) {
	if !d.More() {
		_, err := d.Token()
		if err != nil {
			err = d.fault(err)
		}
		return "", false, err
	}
	token, err := d.Token()
	if err != nil {
		return "", false, d.fault(err)
	}
	key, _ := token.(string)
	return key, true, nil
}

// decode reads a whole value.
func (d document) decode(into any) error {
	if err := d.Decode(into); err != nil {
		return d.fault(err)
	}
	return nil
}

// nestedMost is how deep values may stand in each other.
const nestedMost = 10000

// skip reads past a value, and holds none of it.
func (d document) skip() error {
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			return d.fault(err)
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > nestedMost {
				return d.wrong("more than %d values inside each other", nestedMost)
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// finished says where something stands behind the document.
func (d document) finished() error {
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return d.wrong("something stands behind the end of the document")
	}
	return nil
}
