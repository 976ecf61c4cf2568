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

// maxLine bounds the length of a response line that is inspected, in bytes. Longer lines are output
// of a build's steps. The messages that are looked for are short.
const maxLine = 64 << 10

// imageReader passes on the response to a load, build, import or commit, and records the
// images in it.
type imageReader struct {
	io.ReadCloser
	pattern  string // of the route
	name, id func(string)
	line     []byte
}

// Read passes data on and inspects complete lines.
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

// record records the images in a line. Each kind of response has them in a field that
// cannot contain output of a build's steps.
func (r *imageReader) record(line []byte) {
	var message struct {
		Stream, Status string
		ID             string `json:"Id"`
		Aux            struct{ ID string }
	}
	// The field matters: output of a step is in stream, and could imitate any text.
	isJSON := json.Unmarshal(bytes.TrimSpace(line), &message) == nil
	switch {
	case r.pattern == "/images/load" && isJSON:
		r.loaded(message.Stream)
	case r.pattern == "/images/load": // Podman
		r.loaded(string(line))
	case r.pattern == "/images/create":
		r.note(message.Status)
	case r.pattern == "/build":
		r.note(message.Aux.ID)
	default:
		r.note(message.ID)
	}
}

// loaded records the names in the message of a load. It is the only message in which the engine
// reports them.
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

// note records an ID if it is complete. Short IDs are not unique.
func (r *imageReader) note(id string) {
	if imageID().MatchString(id) {
		r.id(id)
	}
}

// readWriteCloser is an upgraded connection.
type readWriteCloser = io.ReadWriteCloser

// sniffer passes on the data between a client and BuildKit, and looks for names and IDs of
// images: entries of maps in the wire format of Protocol Buffers. Decoding the protocol,
// HTTP/2 with gRPC, would need far more code, and a missed name only leaves an image
// behind.
type sniffer struct {
	readWriteCloser
	name, id   func(string)
	said, told entries
}

// Write passes on data of the client. The name of an image is an attribute of its exporter.
func (s *sniffer) Write(p []byte) (int, error) {
	s.said.scan(p, []string{"name"}, func(value string) {
		for name := range strings.SplitSeq(value, ",") {
			s.name(name)
		}
	})
	return s.readWriteCloser.Write(p)
}

// Read passes on data of BuildKit. The IDs of an image are in the response of its exporter.
func (s *sniffer) Read(p []byte) (int, error) {
	n, err := s.readWriteCloser.Read(p)
	s.told.scan(p[:n], []string{"containerimage.digest", "containerimage.config.digest"}, func(value string) {
		if imageID().MatchString(value) {
			s.id(value)
		}
	})
	return n, err
}

// CloseWrite closes the direction from the client.
func (s *sniffer) CloseWrite() error {
	if half, can := s.readWriteCloser.(interface{ CloseWrite() error }); can {
		return half.CloseWrite()
	}
	return nil
}

// entries finds entries of a map in a stream.
type entries struct{ tail []byte }

// maxEntry bounds the length of an entry in bytes.
const maxEntry = 4 << 10

// scan calls found with the values of keys.
func (e *entries) scan(p []byte, keys []string, found func(value string)) {
	// The connection is split at arbitrary places, so an entry may arrive in two pieces.
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
			e.tail = e.tail[at+1:] // not an entry
			continue
		case n == 0 || uint64(len(rest)-n) < length: // the rest has not arrived yet
			e.tail = bytes.Clone(e.tail[at:])
			return
		}
		found(string(rest[n : n+int(length)]))
		e.tail = rest[n+int(length):]
	}
	// Nothing that ends earlier can still become an entry.
	const longest = 64 // a key, split between two writes
	e.tail = bytes.Clone(e.tail[max(0, len(e.tail)-longest):])
}

// next returns where the first of the keys is, in its encoding: field 1 of an entry, its
// length, the key, and field 2.
func (e *entries) next(keys []string) (at int, written []byte) {
	at = -1
	for _, key := range keys {
		// The encoding of a map entry is fixed by the specification of Protocol Buffers: a message with
		// the key as field 1 and the value as field 2, both with wire type 2.
		k := append([]byte{'\n', byte(len(key))}, key...)
		k = append(k, 0x12)
		if i := bytes.Index(e.tail, k); i >= 0 && (at < 0 || i < at) {
			at, written = i, k
		}
	}
	return at, written
}
