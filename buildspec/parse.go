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

// SizeLimit and the others bound what is read as a buildspec. The limits keep the cost of any text below 100 ms
// and 64 MiB; the largest public buildspec has 95 KB and 12,000 marks.
const (
	SizeLimit    = 1 << 20 // bytes
	markLimit    = 60_000  // lines, and characters that begin or end a value
	valueLimit   = 40_000  // values, those that aliases stand for counted each time
	problemLimit = 500
)

// emptyDocument is what the service says of a document without version or
// phases.
const emptyDocument = "wrong number of container tags, expected 1"

// Parse reads a buildspec, YAML or JSON. The Buildspec holds what could be
// read; where the list has an error in it, it is not to be run.
func Parse(file string, text []byte) (*Buildspec, diag.List) {
	size := len(text)
	text = toUTF8(text)
	p := &parser{spec: &Buildspec{File: file, places: map[string]Place{}}, left: valueLimit}
	if size = max(size, len(text)); size > SizeLimit {
		p.add(diag.Problem{Name: TooLarge, File: file, Message: fmt.Sprintf("the buildspec has %d bytes; expected at most %d", size, SizeLimit)})
		return p.spec, p.problems
	}
	p.spec.lines = splitLines(text)
	if n := marks(text); n > markLimit {
		p.add(diag.Problem{Name: TooLarge, File: file, Message: fmt.Sprintf("the buildspec has %d lines, keys and items; expected at most %d", n, markLimit)})
		return p.spec, p.problems
	}
	if root := p.document(text); root != nil {
		p.top(p.read(Reference(), root, where{}))
	}
	p.problems.Sort()
	for _, s := range []diag.Severity{diag.Error, diag.Warning} {
		if p.untold[s] > 0 {
			p.problems = append(p.problems, diag.Problem{
				Severity: s, Name: TooLarge, File: file, Line: len(p.spec.lines), Message: fmt.Sprintf("%d more %ss are not shown", p.untold[s], s),
			})
		}
	}
	return p.spec, p.problems
}

// toUTF8 drops a byte order mark, and reads the UTF-16 that Windows tools write.
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

// splitLines ends lines where YAML does.
func splitLines(text []byte) []string {
	ends := strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")
	return strings.Split(ends.Replace(string(text)), "\n")
}

// marks is at least as large as the number of values a text can hold.
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

type parser struct {
	spec     *Buildspec
	problems diag.List
	left     int    // of valueLimit
	told     [2]int // how many errors and warnings
	untold   [2]int // how many beyond problemLimit
}

// full reports whether no more problems of a severity are noted: a text that is
// wrong all over is not told whole.
func (p *parser) full(s diag.Severity) bool {
	if p.told[s] < problemLimit {
		return false
	}
	p.untold[s]++
	return true
}

func (p *parser) add(problem diag.Problem) {
	if !p.full(problem.Severity) {
		p.told[problem.Severity]++
		p.problems = append(p.problems, problem)
	}
}

// fail notes an error at node.
func (p *parser) fail(name string, node *yaml.Node, path, format string, args ...any) *diag.Problem {
	return p.note(diag.Error, name, node, path, fmt.Sprintf(format, args...))
}

func (p *parser) note(s diag.Severity, name string, node *yaml.Node, path, message string) *diag.Problem {
	if p.full(s) {
		return &diag.Problem{}
	}
	problem := p.spec.At(node.Line, node.Column, width(node), message)
	problem.Path, problem.Name, problem.Severity = path, name, s
	p.add(problem)
	return &p.problems[len(p.problems)-1]
}

func (p *parser) warn(name string, node *yaml.Node, path, format string, args ...any) *diag.Problem {
	return p.note(diag.Warning, name, node, path, fmt.Sprintf(format, args...))
}

// width is how many characters of its line a node covers.
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

// document returns the root mapping, or nil when there is none to go on with.
func (p *parser) document(text []byte) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	err := decoder.Decode(&doc)
	if err != nil && !errors.Is(err, io.EOF) {
		p.syntax(err, text)
		return nil
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		p.add(diag.Problem{Name: EmptyBuildspec, File: p.spec.File, Line: 1, Column: 1, Service: emptyDocument, Message: "the buildspec is empty; expected at least version and phases"})
		return nil
	}
	root := resolve(doc.Content[0])
	if root.Kind != yaml.MappingNode {
		p.fail(WrongType, root, "", "the buildspec is %s; expected a mapping with version and phases", kindOf(root)).Service = emptyDocument
		return nil
	}
	var second yaml.Node
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		p.secondDocument(&second, root.Line)
	}
	return root
}

func (p *parser) secondDocument(node *yaml.Node, root int) {
	line := max(1, node.Line)
	if node.Kind == 0 { // it could not be read
		line = root + 1 + max(0, slices.IndexFunc(p.spec.lines[root:], func(line string) bool { return strings.HasPrefix(line, "---") }))
	}
	problem := p.spec.At(min(line, len(p.spec.lines)), 1, 1, "a second document begins here; only the first one counts")
	problem.Severity, problem.Name = diag.Warning, SecondDocument
	p.add(problem)
}

// resolve follows an alias to what it stands for.
func resolve(node *yaml.Node) *yaml.Node {
	for range 100 {
		if node.Kind != yaml.AliasNode || node.Alias == nil {
			return node
		}
		node = node.Alias
	}
	return node
}

func isNull(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

// isNothing reports whether nothing at all is written where a value may stand.
func isNothing(node *yaml.Node) bool { return isNull(node) && node.Value == "" }

// kindOf names what a node is, for a message.
func kindOf(node *yaml.Node) string {
	switch {
	case node.Kind == yaml.MappingNode:
		return "a mapping"
	case node.Kind == yaml.SequenceNode:
		return "a list"
	case isNothing(node):
		return "nothing"
	}
	return fmt.Sprintf("the text %q", short(node.Value))
}

// short is the beginning of a text.
func short(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (p *parser) line(n int) string {
	if n < 1 || n > len(p.spec.lines) {
		return ""
	}
	return p.spec.lines[n-1]
}
