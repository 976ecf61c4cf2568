package sax_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/buildlocal/buildlocal/internal/sax"
)

// events reads a document and returns its events as text.
func events(in io.Reader) (string, error) {
	r := sax.NewReader(in)
	var b strings.Builder
	for {
		kind, err := r.Next()
		if errors.Is(err, io.EOF) {
			return b.String(), nil
		}
		if err != nil {
			return b.String(), err
		}
		switch kind {
		case sax.Start:
			fmt.Fprintf(&b, "<%s>", r.Name())
		case sax.End:
			fmt.Fprintf(&b, "</%s>", r.Name())
		case sax.Text:
			b.Write(r.Text())
		}
	}
}

// standard does the same with the standard library.
func standard(text string) (string, error) {
	d := xml.NewDecoder(strings.NewReader(text))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	var b strings.Builder
	depth, roots := 0, 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			if roots != 1 {
				return "", errors.New("not one document")
			}
			return b.String(), nil
		}
		if err != nil {
			return "", err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
			fmt.Fprintf(&b, "<%s>", t.Name.Local)
		case xml.EndElement:
			depth--
			fmt.Fprintf(&b, "</%s>", t.Name.Local)
		case xml.CharData:
			if depth > 0 {
				b.Write(t)
			} else if strings.Trim(string(t), " \t\r\n") != "" {
				return "", errors.New("text outside")
			}
		}
	}
}

func TestReader_Documents(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"elements", `<a><b/>x<c y="1">z</c></a>`, "<a><b></b>x<c>z</c></a>"},
		{"declaration and type", `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "<y>"> ]><a/>`, "<a></a>"},
		{"comments", "<!-- - <x> --><a><!----></a><!-- end -->\n", "<a></a>"},
		{"CDATA", "<a>1<![CDATA[<b>&amp;]]]]><![CDATA[>]]></a>", "<a>1<b>&amp;]]></a>"},
		{"references", "<a>&lt;&#65;&#x1F600;&amp;amp;</a>", "<a><A\U0001F600&amp;</a>"},
		{"namespaces", `<x:a xmlns:x="u"><x:b/></x:a>`, "<a><b></b></a>"},
		{"> and quotes in attributes", `<a b="x > '" c='"'></a >`, "<a></a>"},
		{"byte order mark", "\xEF\xBB\xBF<a>é</a>", "<a>é</a>"},
		{"UTF-16, little end first", "\xFF\xFE<\x00a\x00>\x00\xE9\x00<\x00/\x00a\x00>\x00", "<a>é</a>"},
		{"UTF-16, big end first, unmarked", "\x00<\x00a\x00>\x00\xE9\x00<\x00/\x00a\x00>", "<a>é</a>"},
		{"Latin-1", "<?xml version='1.0' encoding='ISO-8859-1'?><a>\xE9</a>", "<a>é</a>"},
		{"says UTF-16 and is not", `<?xml version="1.0" encoding="utf-16"?><a>é</a>`, "<a>é</a>"},
		{"Shift JIS", "<?xml version='1.0' encoding='Shift_JIS'?><a>\x83e</a>", "<a>テ</a>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, in := range []io.Reader{strings.NewReader(tt.text), iotest.OneByteReader(strings.NewReader(tt.text)),
				iotest.DataErrReader(strings.NewReader(tt.text))} {
				if got, err := events(in); err != nil || got != tt.want {
					t.Errorf("got %q, %v; want %q", got, err, tt.want)
				}
			}
		})
	}
}

func TestReader_ErrorPositions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "line 1, byte 0: the file is empty"},
		{"no element", "<!-- -->", "line 1, byte 8: the file has no element"},
		{"too many attributes", "<a" + strings.Repeat(" b=''", 1001) + "/>", "line 1, byte 0: more than 1000 attributes"},
		{"cut off", "<a>\n<b>", "line 2, byte 7: the file ends inside <b>"},
		{"cut in a tag", "<a>\n<b c='", "line 2, byte 4: the file ends inside a tag"},
		{"cut in CDATA", "<a>\n<![CDATA[x", "line 2, byte 13: the file ends inside <![CDATA["},
		{"cut in a comment", "<a><!-- x", "line 1, byte 3: the file ends inside <!--"},
		{"crossed", "<a><b></a></b>", "line 1, byte 6: </a>, where </b> is expected"},
		{"two documents", "<a/>\n<b/>", "line 2, byte 5: a second document begins here, <b>"},
		{"text behind", "<a/>\n x", "line 2, byte 6: text outside the document's element"},
		{"a control character", "<a>\nx\x00</a>", "line 2, byte 5: the character U+0000 is not allowed in XML"},
		{"a reference to " +
			"one", "<a>&#0;</a>", `line 1, byte 3: the entity &#0; is not known; definitions of a document type are not read`},
		{"a bomb", `<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>`,
			"line 1, byte 54: the entity &c; is not known; definitions of a document type are not read"},
		{"a file of the host", `<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>`,
			"line 1, byte 57: the entity &b; is not known; definitions of a document type are not read"},
		{"an unknown encoding", `<?xml version="1.0" encoding="klingon"?><a/>`,
			`line 1, byte 0: the encoding "klingon" is not known`},
		{"no quotes", "<a b=1/>", "line 1, byte 0: the value of attribute b is not in quotes"},
		{"< in a tag", "<a <b/>", "line 1, byte 0: < inside a tag"},
		{"invalid UTF-8", "<a>\n<b c='\xE9'/></a>", "line 2, byte 4: a text that is not valid in UTF-8"},
		{"invalid UTF-8 in CDATA", "<a><![CDATA[\xE9!!!]]></a>", "line 1, byte 12: a text that is not valid in UTF-8"},
		{"half a character", "<a>\xC3</a>", "line 1, byte 3: a text that is not valid in UTF-8"},
		{"no character", "<a>\uFFFF</a>", "line 1, byte 3: a character that is not allowed in XML, U+FFFE or U+FFFF"},
		{"an end of CDATA", "<a>x]]></a>", "line 1, byte 4: ]]> in a text (expected ]]&gt;)"},
		{"no XML", "hello", "line 1, byte 0: text outside the document's element"},
		{"too deep", strings.Repeat("<a>", 1001), "line 1, byte 3000: more than 1000 elements inside each other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, in := range []io.Reader{strings.NewReader(tt.text), iotest.OneByteReader(strings.NewReader(tt.text))} {
				if _, err := events(in); err == nil || err.Error() != tt.want {
					t.Errorf("got %v\nwant %s", err, tt.want)
				}
			}
		})
	}
}

func TestReader_FailingSource(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	_, err := events(io.MultiReader(strings.NewReader("<a>"), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}

// FuzzReader holds the reader against the standard library: it takes all that is
// well-formed, and reads it alike, however the source is cut.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		`<a><b c="d">e&lt;</b><!-- f --></a>`, "<a><![CDATA[]]]]>]]></a>", `<?xml version="1.0"?><!DOCTYPE a><a/>`,
		"<a>\xC3</a>", "<a>é&#233;</a>", "<x:a x:y='1'/>", "<a><a><a></a></a></a>", "<a", "<a>&b;</a>", "<a/><b/>",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		whole, err := events(strings.NewReader(text))
		piecewise, cutErr := events(iotest.OneByteReader(strings.NewReader(text)))
		if (err == nil) != (cutErr == nil) || err == nil && whole != piecewise {
			t.Fatalf("whole: %q, %v; in pieces: %q, %v", whole, err, piecewise, cutErr)
		}
		if err != nil && cutErr != nil && err.Error() != cutErr.Error() {
			t.Fatalf("whole: %v; in pieces: %v", err, cutErr)
		}
		if err != nil && strings.Contains(err.Error(), "more than 1000") {
			return
		}
		want, standardErr := standard(text)
		if standardErr != nil || strings.ContainsAny(text, "!:") || strings.Contains(text, "\r") ||
			strings.Contains(text, "encoding") || strings.HasPrefix(text, "\xEF\xBB\xBF") {
			for _, reason := range []string{"unexpected EOF", "invalid UTF-8", "unescaped ]]>", "illegal character"} {
				if err == nil && standardErr != nil && strings.Contains(standardErr.Error(), reason) {
					t.Fatalf("read %q, and it is wrong: %v", whole, standardErr)
				}
			}
			return
		}
		if err != nil {
			t.Fatalf("refused: %v; the standard library reads %q", err, want)
		}
		if whole != want {
			t.Fatalf("got %q, want %q", whole, want)
		}
	})
}
