package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
)

// percent is an escaped byte of a URL, in which letters may be of either case.
var percent = regexp.MustCompile("%[0-9A-F]{2}")

// core is how many characters of base64 are enough to know a value by.
const core = 8

// wrapped is how long a line of the program base64 is.
const wrapped = 76

// Encoded returns how a value looks in base64, alone or in a longer text, in a
// URL, and in JSON, where that is not the value itself.
func Encoded(value string) []string {
	if len(value) < Shortest {
		return nil
	}
	all := []string{url.QueryEscape(value), url.PathEscape(value)}
	for _, text := range all {
		all = append(all, percent.ReplaceAllStringFunc(text, strings.ToLower))
	}
	for _, html := range []bool{true, false} {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(html)
		if err := e.Encode(value); err == nil {
			all = append(all, string(bytes.TrimSpace(b.Bytes())[1:b.Len()-2]))
		}
	}
	for _, text := range []string{value, value + "\n"} { // echo adds a line end
		for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			all = append(all, inBase64(e, text)...)
		}
	}
	var kept []string
	for _, text := range all {
		if text != value && len(text) >= Shortest {
			kept = append(kept, text)
		}
	}
	return kept
}

// inBase64 returns a text in base64: alone, by lines, and what is always the same of
// it behind one or two bytes more, or before others.
func inBase64(e *base64.Encoding, text string) []string {
	whole := e.EncodeToString([]byte(text))
	all := []string{whole}
	for at := 0; len(whole) > wrapped && at < len(whole); at += wrapped {
		if line := whole[at:min(at+wrapped, len(whole))]; len(line) >= core {
			all = append(all, line)
		}
	}
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
