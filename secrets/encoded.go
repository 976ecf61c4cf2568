package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
)

// core is how many characters of base64 are enough to know a value by.
const core = 8

// encoded returns how a value looks in base64, alone or in a longer text, in a URL,
// and in JSON, where that is not the value itself.
func encoded(value string) []pattern {
	var all []pattern
	for _, kept := range []string{"-._~", "-._~/", "-._~!'()*", "-._~$&+:=@"} { // of the libraries of many languages
		for _, digits := range []string{"%%%02X", "%%%02x"} {
			escaped := inURL(value, kept, digits)
			all = append(all, pattern{text: escaped}, pattern{text: strings.ReplaceAll(escaped, "%20", "+")})
		}
	}
	for _, text := range inJSON(value) {
		all = append(all, pattern{text: text})
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for _, text := range append(inBase64(e, value), e.EncodeToString([]byte(value+"\n"))) { // echo adds a line end
			// A line may end behind the first character, or the second.
			for skip := 0; skip < 3 && len(text)-skip >= core; skip++ {
				all = append(all, pattern{text: text[skip:], wrapped: true})
			}
		}
	}
	var other []pattern
	for _, p := range all {
		if p.text != value && len(p.text) >= Shortest {
			other = append(other, p)
		}
	}
	return other
}

// inURL escapes all but letters, digits and what is kept.
func inURL(text, kept, digits string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte(kept, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, digits, c)
	}
	return b.String()
}

// inJSON returns a text between the quotes of JSON: as Go and others write it, and in
// ASCII alone.
func inJSON(text string) []string {
	var all []string
	for _, html := range []bool{true, false} {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(html)
		if e.Encode(text) != nil {
			continue
		}
		quoted := strings.TrimSuffix(b.String(), "\n")
		plain := quoted[1 : len(quoted)-1]
		all = append(all, plain, inASCII(plain))
	}
	return all
}

// inASCII escapes what is not ASCII as JSON does.
func inASCII(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// inBase64 returns a text in base64: alone, and what is always the same of it behind
// one or two bytes more, or before others.
func inBase64(e *base64.Encoding, text string) []string {
	all := []string{e.EncodeToString([]byte(text))}
	for before := range 3 {
		const bits, perCharacter = 8, 6
		behind := e.EncodeToString(append(make([]byte, before), text...))
		begin := (before*bits + perCharacter - 1) / perCharacter
		end := (before + len(text)) * bits / perCharacter
		if end-begin >= core {
			all = append(all, behind[begin:end])
		}
	}
	return all
}
