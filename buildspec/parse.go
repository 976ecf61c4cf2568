package buildspec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf16"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// The limits of a buildspec. They keep the cost of parsing any input below 100 ms and
// 64 MiB. The largest public buildspec found has 95 KB and 12,000 marks.
const (
	MaxSize     = 1 << 20 // bytes, after conversion to UTF-8
	maxMarks    = 60_000  // lines, and characters that begin or end a value
	maxValues   = 40_000  // values, with aliases counted each time they are used
	maxProblems = 500     // reported errors, and as many warnings
)

// emptyDocument is CodeBuild's message for a document without version or phases.
// Observed.
const emptyDocument = "wrong number of container tags, expected 1"

// Parse parses a buildspec in YAML or JSON. It returns the parts that could be read
// and all problems, sorted by position. Callers must not run the Buildspec if
// List.Failed reports an error. file is used in messages only.
func Parse(file string, text []byte) (*Buildspec, diag.List) {
	size := len(text)
	text = toUTF8(text)
	p := &parser{spec: &Buildspec{File: file, places: map[string]Place{}}, left: maxValues}
	if size = max(size, len(text)); size > MaxSize {
		message := fmt.Sprintf("the buildspec has %d bytes; the maximum is %d", size, MaxSize)
		p.add(diag.Problem{Name: TooLarge, File: file, Message: message})
		return p.spec, p.problems
	}
	p.spec.lines = splitLines(text)
	if n := marks(text); n > maxMarks {
		message := fmt.Sprintf("the buildspec has %d lines, keys and items; the maximum is %d", n, maxMarks)
		p.add(diag.Problem{Name: TooLarge, File: file, Message: message})
		return p.spec, p.problems
	}
	if root := p.document(text); root != nil {
		p.top(p.read(Reference(), root, where{}))
	}
	p.problems.Sort()
	for _, s := range []diag.Severity{diag.Error, diag.Warning} {
		if p.suppressed[s] > 0 {
			p.problems = append(p.problems, diag.Problem{
				Severity: s, Name: TooLarge, File: file, Line: len(p.spec.lines),
				Message: fmt.Sprintf("%d more %ss are not shown", p.suppressed[s], s),
			})
		}
	}
	return p.spec, p.problems
}

// toUTF8 removes a byte order mark and converts UTF-16, which Windows tools write.
func toUTF8(text []byte) []byte {
	little, big := bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff"))
	if !little && !big {
		return bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	}
	units := make([]uint16, 0, len(text)/2)
	for i := 2; i+1 < len(text); i += 2 {
		high, low := text[i], text[i+1]
		if little {
			high, low = low, high
		}
		units = append(units, uint16(high)<<8|uint16(low))
	}
	return []byte(string(utf16.Decode(units)))
}

// splitLines splits at all line terminators of YAML, so that line numbers agree with
// those of yaml.v3.
func splitLines(text []byte) []string {
	ends := strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")
	return strings.Split(ends.Replace(string(text)), "\n")
}

// marks returns an upper bound of the number of values in a text. It is cheap enough
// to run before the YAML parser, whose cost grows with the number of values.
func marks(text []byte) int {
	n := 0
	for i, c := range text {
		switch c {
		case '\n', '\r', ',', '[', '{':
			n++
		case ':', '-', '?':
			if i+1 == len(text) || strings.IndexByte(" \t\r\n,[]{}", text[i+1]) >= 0 {
				n++
			}
		}
	}
	return n
}

// parser holds the state of one call of Parse.
type parser struct {
	spec       *Buildspec
	problems   diag.List
	left       int    // values left of maxValues
	reported   [2]int // number of reported problems, by severity
	suppressed [2]int // number of problems beyond maxProblems, by severity
}

// full reports whether maxProblems problems of a severity have been reported. If so,
// it counts another suppressed one. Callers check it before they build an expensive
// message.
func (p *parser) full(s diag.Severity) bool {
	if p.reported[s] < maxProblems {
		return false
	}
	p.suppressed[s]++
	return true
}

// add appends a problem unless the limit of its severity is reached.
func (p *parser) add(problem diag.Problem) {
	if !p.full(problem.Severity) {
		p.reported[problem.Severity]++
		p.problems = append(p.problems, problem)
	}
}

// fail adds an error at a node and returns it, so that the caller can set Hint, Service
// or Fix.
func (p *parser) fail(name string, node *yaml.Node, path, format string, args ...any) *diag.Problem {
	return p.note(diag.Error, name, node, path, fmt.Sprintf(format, args...))
}

// note adds a problem at a node. It returns a dummy if the limit is reached, so that
// callers can set fields without a check.
func (p *parser) note(s diag.Severity, name string, node *yaml.Node, path, message string) *diag.Problem {
	if p.full(s) {
		return &diag.Problem{}
	}
	problem := p.spec.At(node.Line, node.Column, width(node), message)
	problem.Path, problem.Name, problem.Severity = path, name, s
	p.add(problem)
	return &p.problems[len(p.problems)-1]
}

// warn adds a warning at a node.
func (p *parser) warn(name string, node *yaml.Node, path, format string, args ...any) *diag.Problem {
	return p.note(diag.Warning, name, node, path, fmt.Sprintf(format, args...))
}

// width returns the number of characters that a node covers in its first line. It is 1
// for mappings, lists and block scalars, which have no end in that line.
func width(node *yaml.Node) int {
	if node.Kind != yaml.ScalarNode || node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return 1
	}
	first, _, _ := strings.Cut(node.Value, "\n")
	n := len([]rune(first))
	if node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		n += 2
	}
	return max(1, n)
}

// document returns the root mapping, or nil if there is nothing to read.
func (p *parser) document(text []byte) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	err := decoder.Decode(&doc)
	if err != nil && !errors.Is(err, io.EOF) {
		p.syntax(err, text)
		return nil
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		p.add(diag.Problem{
			Name: EmptyBuildspec, File: p.spec.File, Line: 1, Column: 1, Service: emptyDocument,
			Message: "the buildspec is empty", Hint: "add at least version and phases",
		})
		return nil
	}
	root := resolve(doc.Content[0])
	if root.Kind != yaml.MappingNode {
		p.fail(WrongType, root, "", "the buildspec must be a mapping with version and phases, not %s", kindOf(root)).
			Service = emptyDocument
		return nil
	}
	var second yaml.Node
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		p.secondDocument(&second, root.Line)
	}
	return root
}

// secondDocument warns about a second YAML document. CodeBuild reads only the first.
// root is the line of the first document's root.
func (p *parser) secondDocument(node *yaml.Node, root int) {
	line := max(1, node.Line)
	if node.Kind == 0 { // the second document is not valid YAML and has no position
		isMark := func(line string) bool { return strings.HasPrefix(line, "---") }
		line = root + 1 + max(0, slices.IndexFunc(p.spec.lines[root:], isMark))
	}
	problem := p.spec.At(min(line, len(p.spec.lines)), 1, 1, "a second document begins here and is ignored")
	problem.Severity, problem.Name = diag.Warning, SecondDocument
	p.add(problem)
}

// resolve follows aliases. The limit ends chains that refer to themselves.
func resolve(node *yaml.Node) *yaml.Node {
	for range 100 {
		if node.Kind != yaml.AliasNode || node.Alias == nil {
			return node
		}
		node = node.Alias
	}
	return node
}

// isNull reports whether a value is null, ~ or missing.
func isNull(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

// isNothing reports whether a value is missing, as in `files:` at the end of a line.
func isNothing(node *yaml.Node) bool { return isNull(node) && node.Value == "" }

// kindOf describes a node's type in a message.
func kindOf(node *yaml.Node) string {
	switch {
	case node.Kind == yaml.MappingNode:
		return "a mapping"
	case node.Kind == yaml.SequenceNode:
		return "a list"
	case isNothing(node):
		return "null"
	}
	return fmt.Sprintf("the string %q", short(node.Value))
}

// short limits a text for use in a message.
func short(text string) string {
	const maxShown = 60 // characters
	if runes := []rune(text); len(runes) > maxShown {
		return string(runes[:maxShown]) + "..."
	}
	return text
}

// join appends a name to a key path.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// line returns the line with a number, or "" if the file has no such line.
func (p *parser) line(n int) string {
	if n < 1 || n > len(p.spec.lines) {
		return ""
	}
	return p.spec.lines[n-1]
}
