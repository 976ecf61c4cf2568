package cache

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// listMark begins a list of files, and names its format: the fields of each file one after another,
// numbers as varints and texts after their length. It is compact and fast, for there may be tens of
// thousands of files, and encoding/gob would delay each start of the program, with a cache or without.
const listMark = "buildlocal files 1\n"

// encodeList returns a list of files as bytes.
func encodeList(files []File) []byte {
	b := []byte(listMark)
	for _, f := range files {
		b = append(b, f.Kind)
		for _, n := range [...]int64{f.Mode, int64(f.UID), int64(f.GID), f.Size, f.Time} {
			b = binary.AppendVarint(b, n)
		}
		for _, text := range [...]string{f.Name, f.Link} {
			b = append(binary.AppendVarint(b, int64(len(text))), text...)
		}
	}
	return b
}

// decodeList is the inverse of encodeList. The error wraps ErrBroken.
func decodeList(text []byte) ([]File, error) {
	rest, known := strings.CutPrefix(string(text), listMark)
	if !known {
		return nil, fmt.Errorf("%w: another version of buildlocal wrote its list of files", ErrBroken)
	}
	r := listReader{rest: rest}
	var files []File
	for r.rest != "" && !r.wrong {
		f := File{Kind: r.rest[0]}
		r.rest = r.rest[1:]
		f.Mode, f.UID, f.GID, f.Size, f.Time = r.number(), int(r.number()), int(r.number()), r.number(), r.number()
		f.Name, f.Link = r.text(), r.text()
		files = append(files, f)
	}
	if r.wrong {
		return nil, fmt.Errorf("%w: its list of files is damaged", ErrBroken)
	}
	return files, nil
}

// listReader reads the fields of a list.
type listReader struct {
	rest  string
	wrong bool // the list ended in a field
}

func (r *listReader) number() int64 {
	// A varint is short, and Varint takes bytes.
	n, size := binary.Varint([]byte(r.rest[:min(len(r.rest), binary.MaxVarintLen64)]))
	if size <= 0 {
		r.wrong, r.rest = true, ""
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *listReader) text() string {
	n := r.number()
	if n < 0 || n > int64(len(r.rest)) {
		r.wrong, r.rest = true, ""
		return ""
	}
	text := r.rest[:n]
	r.rest = r.rest[n:]
	return text
}
