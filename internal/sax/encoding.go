package sax

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// The declaration is in ASCII in all encodings that it can name, except UTF-16.
var declared = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\s*<\?xml\s[^>]*?encoding\s*=\s*["']([^"'>]+)["']`)
})

// headSize is the number of bytes that are examined to determine the encoding.
const headSize = 1024

// decoded returns a document as UTF-8. A byte order mark takes precedence over the declaration. A
// declaration of UTF-16 in a file of single bytes is ignored, because many tools write it by mistake.
func decoded(src io.Reader) (io.Reader, error) {
	in := bufio.NewReaderSize(src, headSize)
	head, err := in.Peek(headSize)
	// A document may be shorter than the head.
	if err != nil && !errors.Is(err, io.EOF) {
		return in, nil // the reader reports the error
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xEF\xBB\xBF")):
		_, _ = in.Discard(3)
		return in, nil
	// Without a byte order mark, a < with a zero byte beside it shows UTF-16 and its byte order (XML
	// 1.0, appendix F).
	case bytes.HasPrefix(head, []byte("\xFF\xFE")), bytes.HasPrefix(head, []byte("<\x00")):
		return transform.NewReader(in, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder()), nil
	case bytes.HasPrefix(head, []byte("\xFE\xFF")), bytes.HasPrefix(head, []byte("\x00<")):
		return transform.NewReader(in, unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewDecoder()), nil
	}
	m := declared().FindSubmatch(head)
	if m == nil {
		return in, nil
	}
	// ASCII is a subset of UTF-8, and files that claim it often contain UTF-8.
	name := strings.ToLower(string(m[1]))
	if name == "utf-8" || strings.HasPrefix(name, "utf-16") || strings.HasPrefix(name, "ucs-2") ||
		strings.Contains(name, "ascii") {
		return in, nil
	}
	// The names are those of the WHATWG Encoding Standard, which has all encodings that tools write.
	known, err := htmlindex.Get(name)
	if err != nil {
		return in, &Error{1, 0, fmt.Sprintf("the encoding %q is not known", m[1])}
	}
	return transform.NewReader(in, known.NewDecoder()), nil
}

// UTF8 returns a text in UTF-8 without a byte order mark. It converts UTF-16. It is for JSON, which
// has no declaration.
func UTF8(src io.Reader) io.Reader {
	in, err := decoded(src)
	if err != nil {
		return bytes.NewReader(nil)
	}
	return in
}
