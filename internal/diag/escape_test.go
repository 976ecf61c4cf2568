package diag

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"plain äöü 🚀": "plain äöü 🚀", "a\nb\tc": "a\nb\tc",
		"\x1b[2J": `\x1b[2J`, "\a": `\x07`, "\r": `\r`, "\x7f": `\x7f`,
		"\u009b": `\u009b`, "\u202e": `\u202e`, "\u2066": `\u2066`, "\xff": `\xff`, "a\xc3": `a\xc3`, "\x00": `\x00`,
		"\u2028": `\u2028`,
	} {
		if got := Escape(text); got != want {
			t.Errorf("Escape(%q) is %q; want %q", text, got, want)
		}
	}
	if got, want := EscapeLine("a\nb\tc\r"), `a\nb\tc\r`; got != want {
		t.Errorf("EscapeLine is %q; want %q", got, want)
	}
}

// FuzzEscape holds that nothing unsafe is left, that a writer that gets the text in two
// parts writes the same, and that JSON keeps its value.
func FuzzEscape(f *testing.F) {
	f.Add("a\x1b[31mb\u202e\xffc\n", 3)
	f.Add("äöü", 1)
	f.Fuzz(func(t *testing.T, text string, at int) {
		got := Escape(text)
		if !utf8.ValidString(got) || strings.IndexFunc(got, func(r rune) bool {
			return unsafe(r) && r != '\n' &&
				r != '\t'
		}) >= 0 {
			t.Errorf("Escape(%q) leaves %q", text, got)
		}
		if line := EscapeLine(text); strings.IndexFunc(line, unsafe) >= 0 {
			t.Errorf("EscapeLine(%q) leaves %q", text, line)
		}
		var b bytes.Buffer
		w := EscapeWriter(&b)
		cut := min(max(at, 0), len(text))
		for _, part := range []string{text[:cut], text[cut:]} {
			if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
				t.Errorf("Write returns %d, %v for %d bytes", n, err, len(part))
			}
		}
		if !strings.HasPrefix(got, b.String()) || len(got)-len(b.String()) > len(`\xff\xff\xff`) {
			t.Errorf("in two parts %q becomes %q; want %q", text, b.String(), got)
		}
		var encoded bytes.Buffer
		e := json.NewEncoder(&encoded)
		e.SetEscapeHTML(false)
		var before, after string
		if e.Encode(text) != nil || json.Unmarshal(encoded.Bytes(), &before) != nil {
			return
		}
		if err := json.Unmarshal([]byte(EscapeJSON(encoded.String())), &after); err != nil || after != before {
			t.Errorf("as JSON %q becomes %q, %v", before, after, err)
		}
	})
}
