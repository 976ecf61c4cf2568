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

const (
	// maxSize is the most bytes of one file that are read, and the most nodes
	// its aliases may unfold to; no text without aliases has more nodes than
	// bytes.
	maxSize = 1 << 20
	// maxDepth is how deep nodes may stand with every alias unfolded. The
	// parser allows as much without aliases.
	maxDepth = 10_000
)

// document returns the one mapping that text is, or says why it is none.
func (r *reader) document(text []byte) (node, bool) {
	if len(text) > maxSize {
		r.at(diag.Error, place{}, "the file has %d bytes; a project document has at most %d", len(text), maxSize)
		return node{}, false
	}
	text = toUTF8(text)
	r.lines = splitLines(text)
	if p, found := oddCharacter(r.lines); found != "" {
		r.at(diag.Error, p, "%s", found)
		return node{}, false
	}
	root, more, err := decodeYAML(joinSurrogates(text))
	switch {
	case errors.Is(err, io.EOF):
		r.at(diag.Error, place{}, "the file is empty; expected a project, as CreateProject takes it")
	case err != nil:
		p, message := syntaxError(text, r.lines, err)
		r.at(diag.Error, p, "%s", message)
	case more != nil:
		r.problem(diag.Error, node{Node: more}, "found a second document; a file holds one project, so split the file")
	case tooMany(root):
		r.at(diag.Error, place{}, "the aliases (*name) of the file unfold to more than %d values; write them out", maxSize)
	default:
		return r.mapping(node{Node: root})
	}
	return node{}, false
}

// mapping returns n if it can be a project.
func (r *reader) mapping(n node) (node, bool) {
	if n = n.resolved(); n.Kind == yaml.MappingNode {
		return n, true
	}
	r.problem(diag.Error, n, "found %s; expected a project: a mapping with name, source, environment and so on", n.kind())
	return n, false
}

// decodeYAML returns the value of the first document of text, and the second
// document if something stands in it.
func decodeYAML(text []byte) (first, second *yaml.Node, err error) {
	// The decoder is known to panic on some broken texts.
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

// tooMany reports whether n, with every alias unfolded, is out of bounds. It
// ends on a node that contains itself, because the bound does.
func tooMany(n *yaml.Node) bool {
	left := maxSize
	spend(n, &left, 0)
	return left < 0
}

func spend(n *yaml.Node, left *int, depth int) {
	if *left--; depth > maxDepth {
		*left = -1
	}
	if *left < 0 {
		return
	}
	if n.Alias != nil {
		spend(n.Alias, left, depth+1)
	}
	for _, child := range n.Content {
		spend(child, left, depth+1)
	}
}

// toUTF8 returns text without its byte order mark, and in UTF-8 when that mark
// says UTF-16, as PowerShell writes it.
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

// fromUTF16 decodes text, where low is the place of the low byte in each pair.
func fromUTF16(text []byte, low int) []byte {
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = uint16(text[2*i+low]) | uint16(text[2*i+1-low])<<8
	}
	return []byte(string(utf16.Decode(units)))
}

// lineEnd is what YAML takes for the end of a line.
var lineEnd = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile("\r\n|[\r\n\u0085\u2028\u2029]")
})

func splitLines(text []byte) []string {
	return lineEnd().Split(string(text), -1)
}

// place is a line and a column, both from 1.
type place struct{ line, column int }

// oddCharacter finds the first character that no YAML document may have.
func oddCharacter(lines []string) (at place, found string) {
	for i, line := range lines {
		for at, c := range line {
			if !odd(c) && (c != utf8.RuneError || strings.HasPrefix(line[at:], "\uFFFD")) {
				continue
			}
			p := place{i + 1, 1 + utf8.RuneCountInString(line[:at])}
			if c == utf8.RuneError {
				return p, "found a byte that is not UTF-8; save the file as UTF-8 text"
			}
			return p, fmt.Sprintf("found the control character %U; take it out, or write it as an escape in double quotes", c)
		}
	}
	return place{}, ""
}

func odd(c rune) bool {
	return c < ' ' && c != '\t' || c >= 0x7F && c < 0xA0 && c != 0x85 || c == 0xFEFF || c == 0xFFFE || c == 0xFFFF
}

// surrogates matches an escaped backslash, which is to be left alone, or the
// two escapes JSON needs for one character beyond U+FFFF.
var surrogates = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)
})

// joinSurrogates rewrites the pairs of escapes in a JSON text, which YAML does
// not know, as the one escape YAML has for such a character.
func joinSurrogates(text []byte) []byte {
	if !surrogates().Match(text) || !json.Valid(text) {
		return text
	}
	return surrogates().ReplaceAllFunc(text, func(found []byte) []byte {
		if len(found) == 2 {
			return found
		}
		high, _ := strconv.ParseUint(string(found[2:6]), 16, 16) // the pattern says they are hexadecimal
		low, _ := strconv.ParseUint(string(found[8:12]), 16, 16)
		return fmt.Appendf(nil, `\U%08X`, utf16.DecodeRune(rune(high), rune(low)))
	})
}
