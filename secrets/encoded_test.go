package secrets_test

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/secrets"
)

var hardToEncode = []string{
	"correct horse/battery+staple?", "a \"quoted\"\nkey", strings.Repeat("long & winding ", 20) + "<road>",
	"ünïcödé-secret-日本🚀",
	"tok_0123456789abcdefghijklmnopqrstuvwxyz", "ab/cd+ef==ghij", `say "hi" & bye\`,
}

// TestMask_Base64 covers a value alone, with text before and after it, and in lines of any
// length.
func TestMask_Base64(t *testing.T) {
	t.Parallel()
	for _, value := range hardToEncode {
		mask := secrets.NewMask(value)
		mask.AddEncoded(value)
		for _, before := range []string{"", "a", "ab", "user:", "machine example.com login somebody@example.com password "} {
			for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
				text := e.EncodeToString([]byte(before + value + "\n"))
				for _, width := range []int{2, 5, 16, 20, 64, 76, len(text)} {
					got := mask.Text(inLines(text, width))
					if left := strings.NewReplacer(secrets.Placeholder, "", "\n", "").Replace(got); len(left) > len(before)*4/3+8 {
						t.Errorf("%q behind %q in lines of %d: %s is shown of %s", value, before, width, left, text)
					}
				}
			}
		}
	}
}

// inLines wraps a text.
func inLines(text string, width int) string {
	var b strings.Builder
	for rest := text; rest != ""; {
		n := min(width, len(rest))
		b.WriteString(rest[:n] + "\n")
		rest = rest[n:]
	}
	return b.String()
}

func TestMask_URLAndJSON(t *testing.T) {
	t.Parallel()
	for _, value := range hardToEncode {
		mask := secrets.NewMask(value)
		mask.AddEncoded(value)
		forms := map[string]string{"query": url.QueryEscape(value), "path": url.PathEscape(value)}
		quoted, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		forms["JSON"] = string(quoted[1 : len(quoted)-1])
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(value); err != nil {
			t.Fatal(err)
		}
		forms["JSON without HTML"] = strings.TrimSpace(b.String())[1 : b.Len()-2]
		for name, text := range forms {
			if got := mask.Text("x=" + text + "&"); got != "x=***&" {
				t.Errorf("%q in %s: got %s of %s", value, name, got, text)
			}
		}
	}
	// The encodings of Python, JavaScript and others.
	for text, value := range map[string]string{
		"say%20%22hi%22%20%26%20bye%5C": hardToEncode[6],
		"ab/cd%2Bef%3D%3Dghij":          hardToEncode[5],
		"ab%2fcd%2bef%3d%3dghij":        hardToEncode[5],
		`say \"hi\" & bye\\`:            hardToEncode[6],
		`\u00fcn\u00efc\u00f6d\u00e9-secret-\u65e5\u672c\ud83d\ude80`: hardToEncode[3],
		"it's%20(a)!*": "it's (a)!*",
	} {
		mask := secrets.NewMask()
		mask.AddEncoded(value)
		if got := mask.Text(text); got != "***" {
			t.Errorf("%q: got %s of %s", value, got, text)
		}
	}
}

func TestMask_ConcurrentAdd(t *testing.T) {
	t.Parallel()
	mask := secrets.NewMask("first")
	var out strings.Builder
	w := mask.Writer(&out)
	write := func(text string) {
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	write("first second ")
	mask.Add("second")
	write("second end")
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if out.String() != "*** second *** end" {
		t.Errorf("got %q", out.String())
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			mask.Add(strings.Repeat("x", i+3))
		}
	}()
	for range 200 {
		_ = mask.Text("first second xxxxxxxx")
	}
	<-done
}
