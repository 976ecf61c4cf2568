package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/buildlocal/buildlocal/internal/sax"
)

// document is a JSON decoder that reads piece by piece and can report the current line. Reports of
// hundreds of megabytes occur, so they are decoded element by element and never held in memory as a
// whole.
type document struct {
	*json.Decoder
	in *lineCounter
}

// newDocument returns a document for a reader. A byte order mark is skipped.
func newDocument(in io.Reader) document {
	counter := &lineCounter{in: sax.UTF8(in)}
	return document{json.NewDecoder(counter), counter}
}

// lineCounter counts the lines that pass through it. It keeps the last piece, because a JSON
// decoder reads ahead of the position it reports. encoding/json reports byte offsets only. Users
// look for a line in their editor.
type lineCounter struct {
	in    io.Reader
	read  int64  // bytes read
	lines int    // line feeds before last
	last  []byte // result of the last Read
}

// Read implements io.Reader.
func (l *lineCounter) Read(p []byte) (int, error) {
	l.lines += bytes.Count(l.last, []byte("\n"))
	n, err := l.in.Read(p)
	l.read += int64(n)
	l.last = append(l.last[:0], p[:n]...)
	return n, err
}

// line returns the line of an offset in, or at the end of, the last piece.
func (l *lineCounter) line(offset int64) int {
	// The decoder has read at most one piece beyond the offset, so the line is in the last piece or at
	// its beginning.
	back := max(0, min(int64(len(l.last)), l.read-offset))
	return l.lines + bytes.Count(l.last[:int64(len(l.last))-back], []byte("\n")) + 1
}

// wrong returns an error at the current position.
func (d document) wrong(format string, args ...any) error {
	offset := d.InputOffset()
	return &sax.Error{Line: d.in.line(offset), Offset: offset, Text: fmt.Sprintf(format, args...)}
}

// fault converts an error of encoding/json to one with a position, and CodeBuild's words for it. The
// argument field is the path of the value.
func (d document) fault(err error, field string) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	// The usual cause is a tool that was killed while writing.
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &refusal{d.wrong("unexpected end of the file"), "unexpected end of JSON input"}
	case errors.As(err, &syntax):
		return &sax.Error{Line: d.in.line(syntax.Offset), Offset: syntax.Offset, Text: syntax.Error()}
	case errors.As(err, &kind):
		wrong := d.wrong("%s must be %s, not %s", kind.Field, kind.Type, kind.Value)
		return &refusal{wrong, wrongType(kind.Value, strings.TrimSuffix(field+"."+kind.Field, "."),
			kind.Type.String()).Error()}
	}
	return err
}

// expect reads a delimiter. The argument what describes the expected value in the error; field and kind
// are its path and type in CodeBuild's words.
func (d document) expect(want json.Delim, what, field, kind string) error {
	token, err := d.Token()
	if err != nil {
		return d.fault(err, field)
	}
	if token != want {
		return &refusal{d.wrong("%s expected, not %s", what, kindOf(token)), wrongType(jsonKind(token), field, kind).Error()}
	}
	return nil
}

// kindOf describes a token in an error.
func kindOf(token json.Token) string {
	switch t := token.(type) {
	case json.Delim:
		return t.String()
	case nil:
		return "null"
	case string:
		return "a string"
	}
	return "a number or boolean"
}

// jsonKind names the type of a token as encoding/json does.
func jsonKind(token json.Token) string {
	switch t := token.(type) {
	case json.Delim:
		return map[json.Delim]string{'{': "object", '[': "array"}[t]
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "bool"
	}
	return "null"
}

// key reads the next key of an object. It returns false at the end of the object.
func (d document) key() (string, bool, error) {
	if !d.More() {
		_, err := d.Token()
		if err != nil {
			err = d.fault(err, "")
		}
		return "", false, err
	}
	token, err := d.Token()
	if err != nil {
		return "", false, d.fault(err, "")
	}
	key, _ := token.(string)
	return key, true, nil
}

// decode decodes the next value, whose path is field.
func (d document) decode(into any, field string) error {
	if err := d.Decode(into); err != nil {
		return d.fault(err, field)
	}
	return nil
}

// maxNesting limits the depth of nested values. The decoder itself has the same limit for decoded
// values, but not for single tokens.
const maxNesting = 10000

// skip skips the next value without keeping it in memory. Decoding into json.RawMessage would be
// shorter and needs memory for the whole value.
func (d document) skip() error {
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			return d.fault(err, "")
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > maxNesting {
				return d.wrong("more than %d levels of nesting", maxNesting)
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// finished returns an error if there is text after the document. Two documents in one file are
// usually the results of two runs, of which the second one would be lost.
func (d document) finished() error {
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &refusal{d.wrong("text after the end of the document"), "invalid character after top-level value"}
	}
	return nil
}
