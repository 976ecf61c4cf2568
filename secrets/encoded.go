package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
)

// minEncodedLength is the length of the shortest part of an encoded value that is
// masked, in characters of base64. Shorter parts occur by chance.
const minEncodedLength = 8

// encoded returns the patterns of a value in base64, alone or inside a longer text, in a
// URL and in JSON, except those equal to the value itself.
func encoded(value string) []pattern {
	var all []pattern
	// The URL encoders of common languages differ in the characters that they keep, in
	// the case of the digits, and in the form of a blank.
	for _, kept := range []string{"-._~", "-._~/", "-._~!'()*", "-._~$&+:=@"} {
		for _, digits := range []string{"%%%02X", "%%%02x"} {
			escaped := inURL(value, kept, digits)
			all = append(all, pattern{text: escaped}, pattern{text: strings.ReplaceAll(escaped, "%20", "+")})
		}
	}
	for _, text := range inJSON(value) {
		all = append(all, pattern{text: text})
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		// echo VALUE | base64 encodes a newline too.
		for _, text := range append(inBase64(e, value), e.EncodeToString([]byte(value+"\n"))) {
			// A wrapped line may end after the first or second character, which then is
			// alone on its line: a pattern that starts later still finds the rest.
			for skip := 0; skip < 3 && len(text)-skip >= minEncodedLength; skip++ {
				all = append(all, pattern{text: text[skip:], wrapped: true})
			}
		}
	}
	var other []pattern
	for _, p := range all {
		if p.text != value && len(p.text) >= MinLength {
			other = append(other, p)
		}
	}
	return other
}

// inURL escapes all characters except letters, digits and those in kept. digits is the
// format of an escaped byte.
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

// inJSON returns the content of a JSON string: with and without the HTML escapes that Go
// adds by default, and with all other characters than ASCII escaped.
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

// inASCII escapes other characters than ASCII as \uXXXX.
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

// inBase64 returns a text in base64: alone, and for each alignment inside a longer text
// the characters that do not depend on the bytes around it.
func inBase64(e *base64.Encoding, text string) []string {
	all := []string{e.EncodeToString([]byte(text))}
	for before := range 3 {
		const bits, perCharacter = 8, 6
		shifted := e.EncodeToString(append(make([]byte, before), text...))
		begin := (before*bits + perCharacter - 1) / perCharacter
		end := (before + len(text)) * bits / perCharacter
		if end-begin >= minEncodedLength {
			all = append(all, shifted[begin:end])
		}
	}
	return all
}
