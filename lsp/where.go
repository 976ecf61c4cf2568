package lsp

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/buildlocal/buildlocal/buildspec"
)

// spot is the context of a position. The enclosing keys are found by indentation, because a document
// that is being edited is often not valid YAML. A document that is edited is parsed line by line
// instead of as YAML, so completion works in the middle of a word.
type spot struct {
	path  []string // keys of the enclosing mappings
	key   string   // key of the line; empty if it has none
	start int      // column of the key, from 1
	value bool     // the position is after the key
}

// keyLine matches a line that begins with a key, possibly after the dash of a list item.
var keyLine = sync.OnceValue(func() *regexp.Regexp { // compiled on first use
	return regexp.MustCompile(`^((?:\s|- )*)(?:"([^"]*)"|'([^']*)'|` +
		`([^\s#'"\[\]{},&*!|>%@-](?:[^:#]|:[^\s#])*?))\s*:(?:\s|$)`)
})

// parsed is a parsed line.
type parsed struct {
	dash   int // index of the dash of a list item, or -1
	indent int // index of the first character after spaces and the dash
	key    string
	hasKey bool
	blank  bool // empty, or a comment
}

// parseLine parses a line without its context. The contents of a block scalar look like keys too;
// their deeper indentation distinguishes them.
func parseLine(line string) parsed {
	trimmed := strings.TrimLeft(line, " ")
	p := parsed{dash: -1, indent: len(line) - len(trimmed), blank: trimmed == "" || strings.HasPrefix(trimmed, "#")}
	if strings.HasPrefix(trimmed, "- ") || trimmed == "-" {
		p.dash = p.indent
		// The keys of a mapping in a list are aligned after the dash.
		p.indent += len(trimmed) - len(strings.TrimLeft(strings.TrimPrefix(trimmed, "-"), " "))
	}
	if m := keyLine().FindStringSubmatch(line); m != nil {
		p.key, p.hasKey = m[2]+m[3]+m[4], true
	}
	return p
}

// at returns the context of a position. Lines and columns count from 1.
func (d *document) at(number, column int) spot {
	line := d.line(number)
	own := parseLine(line)
	s := spot{key: own.key, start: own.indent + 1}
	indent := own.indent
	// In an empty line the column of the cursor shows the mapping that the user means.
	if own.blank {
		indent = column - 1
	}
	// Quoted keys with a colon do not occur in buildspecs.
	if colon := strings.Index(line, ":"); own.hasKey && colon >= 0 {
		s.value = column > len([]rune(line[:colon]))+1
	}
	if own.dash >= 0 {
		s.path = append(s.path, "[]")
		indent = own.dash
	}
	d.climb(&s, number-1, indent, own.dash >= 0)
	slices.Reverse(s.path)
	return s
}

// climb collects the keys above a line, innermost first. A list may have the same indentation as its
// key. The search ends at the first line of each smaller indentation, so it reads every line at
// most once.
func (d *document) climb(s *spot, from, indent int, inList bool) {
	for n := from; n > 0 && (indent > 0 || inList); n-- {
		above := parseLine(d.line(n))
		switch {
		case above.blank:
		case above.hasKey && above.dash < 0 && (above.indent < indent || inList && above.indent == indent):
			s.path = append(s.path, above.key)
			indent, inList = above.indent, false
		case above.dash >= 0 && above.hasKey && above.indent < indent:
			s.path = append(s.path, above.key, "[]")
			indent, inList = above.dash, true
		case above.dash >= 0 && above.dash < indent && !inList:
			s.path = append(s.path, "[]")
			indent, inList = above.dash, true
		}
	}
}

// definition returns the key of the reference for a path.
func definition(path []string) (*buildspec.Key, bool) { return buildspec.Reference().At(path) }
