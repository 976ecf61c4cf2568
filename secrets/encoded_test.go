package secrets_test

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/secrets"
)

// TestAnEncodedValueIsHiddenToo: also behind other bytes, before others, and by
// lines, as far as it is the same whatever stands around it.
func TestAnEncodedValueIsHiddenToo(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"correct horse/battery+staple?", "a \"quoted\"\nkey", strings.Repeat("long & winding ", 20) + "<road>", "ünïcödé-secret"} {
		mask := secrets.NewMask(append(secrets.Encoded(value), value)...)
		quoted, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		for _, before := range []string{"", "a", "ab", "user:"} {
			for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
				text := e.EncodeToString([]byte(before + value + "\n"))
				got := mask.Text(text)
				if left := strings.ReplaceAll(got, secrets.Stars, ""); len(left) > len(before)*2+10 {
					t.Errorf("%q behind %q: %s is shown of %s", value, before, got, text)
				}
			}
		}
		for _, text := range []string{url.QueryEscape(value), url.PathEscape(value), strings.Trim(string(quoted), `"`)} {
			if got := mask.Text("x=" + text + "&"); got != "x=***&" {
				t.Errorf("%q: got %s", text, got)
			}
		}
		lines := base64.StdEncoding.EncodeToString([]byte(value))
		for at := 0; at < len(lines); at += 76 {
			line := lines[at:min(at+76, len(lines))]
			if got := mask.Text(line); len(line) >= 8 && len(strings.ReplaceAll(got, secrets.Stars, "")) > 3 {
				t.Errorf("%q, a line: got %s of %s", value, got, line)
			}
		}
	}
	if got := secrets.Encoded("ab"); got != nil {
		t.Errorf("a value too short to be hidden: %q", got)
	}
}

func TestAMaskIsAddedToWhileItIsUsed(t *testing.T) {
	t.Parallel()
	mask := secrets.NewMask("first")
	var out strings.Builder
	w := mask.Writer(&out)
	write := func(text string) {
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	write("first second sec")
	mask.Add("second")
	write("ond end")
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if out.String() != "*** second second end" && out.String() != "*** second ***"+" end" {
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
