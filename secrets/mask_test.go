package secrets_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/secrets"
)

func TestMask_Text(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		values     []string
		text, want string
	}{
		"nothing to hide":        {nil, "plain", "plain"},
		"once":                   {[]string{"secret"}, "a secret b", "a *** b"},
		"everywhere":             {[]string{"secret"}, "secretsecret-secret", "******-***"},
		"the longer one":         {[]string{"abc", "abcdef"}, "abcdef abcd", "*** ***d"},
		"the one that is first":  {[]string{"abcd", "cdef"}, "abcdef", "***ef"},
		"one inside another":     {[]string{"bcd", "abcde"}, "abcde xbcdx", "*** x***x"},
		"each line of a value":   {[]string{"first\nsecond\r\n}"}, "first\r\nsecond\n}", "***\r\n***\n}"},
		"a value of two letters": {[]string{"ab"}, "ab", "ab"},
		"a value of blanks":      {[]string{"     "}, "      ", "      "},
		"an access key ID":       {nil, "AKIAABCDEFGHIJKLMNOP,ASIA", "***,ASIA"},
		"not an access key ID":   {nil, "AKIAABCDEFGHIJKLMNo", "AKIAABCDEFGHIJKLMNo"},
		"binary":                 {[]string{"s\x00\xff"}, "x\x00s\x00\xffs", "x\x00***s"},
	}
	for name, test := range tests {
		if got := secrets.NewMask(test.values...).Text(test.text); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

// TestMask_ValueLongerThanBuffer masks the value and its lines wherever a write splits it.
func TestMask_ValueLongerThanBuffer(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, "line %d of a long secret, and each is different\n", i)
	}
	value := strings.TrimSuffix(b.String(), "\n")
	text := "before " + value + " after\n" + value[:70_000] + "\nend"
	for _, size := range []int{1, 4096, 65536, len(text)} {
		var got bytes.Buffer
		w := secrets.NewMask(value).Writer(&got)
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if size == 1 && len(rest) > 1000 &&
				len(text)-len(rest) > 1000 { // single bytes only at both ends: the text is long
				n = 40_000
			}
			n = min(n, len(rest))
			if _, err := w.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if out := got.String(); !strings.HasPrefix(out, "before *** after\n***\n***\n") ||
			strings.Contains(out, "of a long secret, which") {
			t.Errorf("in pieces of %d: %.200s", size, out)
		}
	}
}

// FuzzMask writes text in pieces. No value is printed, other text is unchanged, and the
// result does not depend on the pieces.
func FuzzMask(f *testing.F) {
	f.Add("abcabd abcabc", "abcabd", "cab", uint8(2))
	f.Add("aaaaaaa", "aaa", "aaaa", uint8(1))
	f.Add("xAKIAABCDEFGHIJKLMNOPx", "IAAB", "zzz", uint8(7))
	f.Fuzz(func(t *testing.T, text, a, b string, size uint8) {
		mask := secrets.NewMask(a, b)
		var got bytes.Buffer
		w := mask.Writer(&got)
		for rest := text; rest != ""; {
			n := min(len(rest), 1+int(size))
			if _, err := w.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if whole := mask.Text(text); got.String() != whole {
			t.Errorf("in pieces %q, whole %q", got.String(), whole)
		}
		for _, part := range strings.Split(got.String(), secrets.Placeholder) {
			for _, v := range []string{a, b} {
				if len(strings.TrimSpace(v)) >= secrets.MinLength && !strings.Contains(v, "\n") && !strings.HasSuffix(v, "\r") &&
					strings.Contains(part, v) {
					t.Errorf("%q is still in %q", v, part)
				}
			}
		}
	})
}

func BenchmarkMask(b *testing.B) {
	values := make([]string, 50)
	for i := range values {
		values[i] = strings.Repeat(string(rune('A'+i%26)), 3) + strings.Repeat("x", i) + "end"
	}
	text := bytes.Repeat([]byte("the quick brown fox jumps over the lazy dog 0123456789 and then goes home\n"), 400)
	for _, n := range []int{0, 1, 50} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := secrets.NewMask(values[:n]...).Writer(io.Discard)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				_, _ = w.Write(text)
			}
		})
	}
}
