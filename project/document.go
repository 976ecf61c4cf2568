package project

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// The limits of a document. They bound the time and memory for any input.
const (
	maxSize  = 1 << 20 // bytes of a file, and nodes after aliases are expanded
	maxDepth = 10_000  // nesting after aliases are expanded; the YAML parser allows the same without aliases
)

// document returns the mapping at the root of text, or reports why there is no mapping.
func (r *reader) document(text []byte) (node, bool) {
	if n, ok := r.root(text); ok {
		return r.mapping(n)
	}
	return node{}, false
}

// root returns the value of text, or reports why it has no value.
func (r *reader) root(text []byte) (node, bool) {
	// The limit applies before anything is decoded.
	if len(text) > maxSize {
		r.at(diag.Error, place{}, "the file has %d bytes; the maximum for a project document is %d", len(text), maxSize)
		return node{}, false
	}
	text = toUTF8(text)
	r.lines = splitLines(text)
	if p, found := oddCharacter(r.lines); found.message != "" {
		r.at(diag.Error, p, "%s", found.message).Hint = found.hint
		return node{}, false
	}
	root, more, err := decodeYAML(joinSurrogates(text))
	switch {
	case errors.Is(err, io.EOF):
		r.at(diag.Error, place{}, "the file is empty").Hint = "write a project, in the format of CreateProject"
	case err != nil:
		p, why := syntaxError(text, r.lines, err)
		r.at(diag.Error, p, "%s", why.message).Hint = why.hint
	// Trailing empty documents, as after a final ---, are accepted.
	case more != nil:
		r.problem(diag.Error, node{Node: more}, "a second document begins here").
			Hint = "split the file: it can hold only one project"
	case tooMany(root):
		r.at(diag.Error, place{}, "the aliases of the file expand to more than %d values", maxSize).
			Hint = "write the values out"
	default:
		return node{Node: root}.resolved(), true
	}
	return node{}, false
}

// mapping returns n if it is a mapping, and reports it otherwise.
func (r *reader) mapping(n node) (node, bool) {
	if n = n.resolved(); n.Kind == yaml.MappingNode {
		return n, true
	}
	r.problem(diag.Error, n, "a project must be a mapping with name, source, environment and so on, not %s", n.kind())
	return n, false
}

// decodeYAML parses text. It returns the first document, and the second one if it is not
// empty. A panic of the parser becomes an error.
func decodeYAML(text []byte) (first, second *yaml.Node, err error) {
	// yaml.v3 is known to panic on some malformed input.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: %v", p)
		}
	}()
	var one, two yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&one); err != nil {
		return nil, nil, err
	}
	switch err := d.Decode(&two); {
	case errors.Is(err, io.EOF):
		return one.Content[0], nil, nil
	case err != nil:
		return nil, nil, err
	case two.Content[0].Tag == "!!null":
		return one.Content[0], nil, nil
	}
	return one.Content[0], two.Content[0], nil
}

// tooMany reports whether n exceeds maxSize or maxDepth after aliases are expanded. It
// terminates for a node that contains itself, because the budget runs out.
func tooMany(n *yaml.Node) bool {
	left := maxSize
	spend(n, &left, 0)
	return left < 0
}

// spend subtracts the nodes of n from the budget.
func spend(n *yaml.Node, left *int, depth int) {
	if *left--; depth > maxDepth {
		*left = -1
	}
	if *left < 0 {
		return
	}
	// An alias is a reference in memory and expands each time it is read.
	if n.Alias != nil {
		spend(n.Alias, left, depth+1)
	}
	for _, child := range n.Content {
		spend(child, left, depth+1)
	}
}

// toUTF8 removes a byte order mark and converts UTF-16, which PowerShell writes by default.
func toUTF8(text []byte) []byte {
	if rest, ok := bytes.CutPrefix(text, []byte("\xef\xbb\xbf")); ok {
		return rest
	}
	if rest, ok := bytes.CutPrefix(text, []byte("\xff\xfe")); ok {
		return fromUTF16(rest, 0)
	}
	if rest, ok := bytes.CutPrefix(text, []byte("\xfe\xff")); ok {
		return fromUTF16(rest, 1)
	}
	return text
}

// fromUTF16 decodes UTF-16. low is the index of the low byte in each pair, 0 or 1.
func fromUTF16(text []byte, low int) []byte {
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = uint16(text[2*i+low]) | uint16(text[2*i+1-low])<<8
	}
	return []byte(string(utf16.Decode(units)))
}

// lineEnd matches the line terminators of YAML.
var lineEnd = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile("\r\n|[\r\n\u0085\u2028\u2029]")
})

// splitLines splits at all line terminators of YAML.
func splitLines(text []byte) []string {
	return lineEnd().Split(string(text), -1)
}

// place is a line and a column, both counted from 1. A zero means that it is not known.
type place struct{ line, column int }

// oddCharacter finds the first character that is not allowed in a YAML document.
func oddCharacter(lines []string) (at place, found explanation) {
	for i, line := range lines {
		for at, c := range line {
			if !odd(c) && (c != utf8.RuneError || strings.HasPrefix(line[at:], "\uFFFD")) {
				continue
			}
			p := place{i + 1, 1 + utf8.RuneCountInString(line[:at])}
			if c == utf8.RuneError {
				return p, explanation{"byte is not valid UTF-8", "save the file as UTF-8"}
			}
			return p, explanation{
				fmt.Sprintf("control character %U", c),
				"remove it, or write it as an escape in double quotes",
			}
		}
	}
	return place{}, explanation{}
}

// odd reports whether YAML does not allow a character.
func odd(c rune) bool {
	return c < ' ' && c != '\t' || c >= 0x7F && c < 0xA0 && c != 0x85 || c == 0xFEFF || c == 0xFFFE || c == 0xFFFF
}

// surrogates matches an escaped backslash, which is kept, or the pair of JSON escapes for a
// character beyond U+FFFF.
var surrogates = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)
})

// joinSurrogates replaces the pairs of escapes in a JSON text, which yaml.v3 does not
// support, by the single escape that YAML has for such a character.
func joinSurrogates(text []byte) []byte {
	if !surrogates().Match(text) || !json.Valid(text) {
		return text
	}
	return surrogates().ReplaceAllFunc(text, func(found []byte) []byte {
		if len(found) == 2 {
			return found
		}
		high, _ := strconv.ParseUint(string(found[2:6]), 16, 16) // cannot fail: the pattern has hexadecimal digits only
		low, _ := strconv.ParseUint(string(found[8:12]), 16, 16)
		return fmt.Appendf(nil, `\U%08X`, utf16.DecodeRune(rune(high), rune(low)))
	})
}
