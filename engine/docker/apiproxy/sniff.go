package apiproxy

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"sync"
)

// maxLine is how long a line of an answer may be that is looked at, in bytes.
const maxLine = 64 << 10

// imageReader passes on the answer to a load, a build, an import or a commit, and records the
// images that it tells of.
type imageReader struct {
	io.ReadCloser
	pattern  string // of the route
	name, id func(string)
	line     []byte
}

// Read passes on, and looks at whole lines.
func (r *imageReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.line = append(r.line, p[:n]...)
	for {
		line, rest, whole := bytes.Cut(r.line, []byte("\n"))
		if !whole && err == nil {
			break
		}
		r.record(line)
		if r.line = rest; !whole {
			break
		}
	}
	if len(r.line) > maxLine {
		r.line = nil
	}
	return n, err
}

// record records the images in one line: each answer has them in a place of its own, where
// no output of a build's steps is.
func (r *imageReader) record(line []byte) {
	var message struct {
		Stream, Status string
		ID             string `json:"Id"`
		Aux            struct{ ID string }
	}
	isJSON := json.Unmarshal(bytes.TrimSpace(line), &message) == nil
	switch {
	case r.pattern == "/images/load" && isJSON:
		r.loaded(message.Stream)
	case r.pattern == "/images/load": // podman
		r.loaded(string(line))
	case r.pattern == "/images/create":
		r.note(message.Status)
	case r.pattern == "/build":
		r.note(message.Aux.ID)
	default:
		r.note(message.ID)
	}
}

func (r *imageReader) loaded(stream string) {
	for text := range strings.SplitSeq(stream, "\n") {
		text = strings.TrimSpace(text)
		if name, is := strings.CutPrefix(text, "Loaded image: "); is {
			r.name(name)
		}
		if id, is := strings.CutPrefix(text, "Loaded image ID: "); is {
			r.note(id)
		}
	}
}

var imageID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^sha256:[0-9a-f]{64}$`) })

func (r *imageReader) note(id string) {
	if imageID().MatchString(id) {
		r.id(id)
	}
}

// readWriteCloser is a connection that changed its protocol.
type readWriteCloser = io.ReadWriteCloser

// sniffer passes on what a client and BuildKit say to each other, and looks for the names
// and IDs of images: entries of maps in the wire format of Protocol Buffers.
type sniffer struct {
	readWriteCloser
	name, id   func(string)
	said, told entries
}

// Write passes on what the client says: the name of an image is an attribute of its
// exporter.
func (s *sniffer) Write(p []byte) (int, error) {
	s.said.scan(p, []string{"name"}, func(value string) {
		for name := range strings.SplitSeq(value, ",") {
			s.name(name)
		}
	})
	return s.readWriteCloser.Write(p)
}

// Read passes on what BuildKit says: the IDs of an image are in its exporter's response.
func (s *sniffer) Read(p []byte) (int, error) {
	n, err := s.readWriteCloser.Read(p)
	s.told.scan(p[:n], []string{"containerimage.digest", "containerimage.config.digest"}, func(value string) {
		if imageID().MatchString(value) {
			s.id(value)
		}
	})
	return n, err
}

// CloseWrite ends what the client says.
func (s *sniffer) CloseWrite() error {
	if half, can := s.readWriteCloser.(interface{ CloseWrite() error }); can {
		return half.CloseWrite()
	}
	return nil
}

// entries looks for entries of a map in a stream.
type entries struct{ tail []byte }

// maxEntry is how long an entry may be, in bytes.
const maxEntry = 4 << 10

// scan calls found with the values of keys.
func (e *entries) scan(p []byte, keys []string, found func(value string)) {
	e.tail = append(e.tail, p...)
	for {
		at, key := e.next(keys)
		if at < 0 {
			break
		}
		rest := e.tail[at+len(key):]
		length, n := binary.Uvarint(rest)
		switch {
		case n < 0 || length > maxEntry:
			e.tail = e.tail[at+1:] // it is none
			continue
		case n == 0 || uint64(len(rest)-n) < length: // the rest of it is to come
			e.tail = bytes.Clone(e.tail[at:])
			return
		}
		found(string(rest[n : n+int(length)]))
		e.tail = rest[n+int(length):]
	}
	const longest = 64 // a key, cut in two
	e.tail = bytes.Clone(e.tail[max(0, len(e.tail)-longest):])
}

// next returns where the first of the keys is, as it is written: field 1 of an entry, its
// length, the key, and field 2.
func (e *entries) next(keys []string) (at int, written []byte) {
	at = -1
	for _, key := range keys {
		k := append([]byte{'\n', byte(len(key))}, key...)
		k = append(k, 0x12)
		if i := bytes.Index(e.tail, k); i >= 0 && (at < 0 || i < at) {
			at, written = i, k
		}
	}
	return at, written
}
