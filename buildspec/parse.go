package buildspec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// sizeLimit bounds what is read as a buildspec, in bytes.
const sizeLimit = 4 << 20

// emptyDocument is what the service says of a document without version or
// phases.
const emptyDocument = "wrong number of container tags, expected 1"

// Parse reads a buildspec, YAML or JSON. The Buildspec holds what could be
// read; where the list has an error in it, it is not to be run.
func Parse(file string, text []byte) (*Buildspec, diag.List) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	p := &parser{spec: &Buildspec{File: file, lines: splitLines(text)}}
	if len(text) > sizeLimit {
		p.add(diag.Problem{File: file, Message: fmt.Sprintf("the buildspec has %d bytes; expected at most %d", len(text), sizeLimit)})
		return p.spec, p.problems
	}
	if root := p.document(text); root != nil {
		p.top(root)
	}
	p.problems.Sort()
	return p.spec, p.problems
}

func splitLines(text []byte) []string {
	lines := strings.Split(string(text), "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	return lines
}

type parser struct {
	spec     *Buildspec
	problems diag.List
}

func (p *parser) add(problem diag.Problem) { p.problems = append(p.problems, problem) }

// fail notes an error at node.
func (p *parser) fail(node *yaml.Node, path, format string, args ...any) *diag.Problem {
	problem := p.spec.At(node.Line, node.Column, width(node), fmt.Sprintf(format, args...))
	problem.Path = path
	p.add(problem)
	return &p.problems[len(p.problems)-1]
}

func (p *parser) warn(node *yaml.Node, path, format string, args ...any) {
	p.fail(node, path, format, args...).Severity = diag.Warning
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
		p.syntax(err)
		return nil
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		p.add(diag.Problem{File: p.spec.File, Service: emptyDocument, Message: "the buildspec is empty; expected at least version and phases"})
		return nil
	}
	root := resolve(doc.Content[0])
	if root.Kind != yaml.MappingNode {
		p.fail(root, "", "the buildspec is %s; expected a mapping with version and phases", kindOf(root)).Service = emptyDocument
		return nil
	}
	var second yaml.Node
	if decoder.Decode(&second) == nil {
		p.warn(&second, "", "a second document begins here; only the first one counts")
	}
	return root
}

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// parserError tells the messages of yaml.v3's parser from its scanner's.
var parserError = regexp.MustCompile(`^did not find expected (node content|'-' indicator|key|',' or|<document start>)`)

// syntax notes a YAML error with its line, and with the service's wording: the
// same message, the line behind it.
func (p *parser) syntax(err error) {
	text, line := err.Error(), 0
	if m := yamlError.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = m[2]
	}
	service := fmt.Sprintf("%s at line %d", text, line)
	if parserError.MatchString(text) {
		line++ // counted from zero, unlike the scanner's
	}
	problem := p.spec.At(min(line, len(p.spec.lines)), 0, 0, text+hint(text))
	problem.Service = service
	p.add(problem)
}

// hint explains the YAML errors people meet.
func hint(text string) string {
	switch {
	case strings.Contains(text, "mapping values are not allowed"):
		return `; a ": " in plain text begins a mapping: put the whole value in quotes`
	case strings.Contains(text, "cannot start any token"):
		return "; indent with spaces, not with tabs, and quote a value that begins with @, ` or %"
	case strings.Contains(text, "unknown anchor"):
		return `; a value that begins with * must be in quotes`
	case strings.Contains(text, "did not find expected"):
		return "; look at the indentation, the quotes and the brackets of this line and the one above"
	}
	return ""
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

// kindOf names what a node is, for a message.
func kindOf(node *yaml.Node) string {
	switch {
	case node.Kind == yaml.MappingNode:
		return "a mapping"
	case node.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(node):
		return "nothing"
	}
	return fmt.Sprintf("the text %q", node.Value)
}

// entry is one key of a mapping.
type entry struct {
	name   string
	key    *yaml.Node
	value  *yaml.Node
	merged bool // drawn in by a merge key
}

// entries returns the keys of a mapping in their order, with merge keys (<<)
// drawn in. Of a key that stands twice the last one counts. Nothing written is
// an empty mapping.
func (p *parser) entries(node *yaml.Node, path string) []entry {
	if isNull(node) {
		return nil
	}
	if node.Kind != yaml.MappingNode {
		p.fail(node, path, "%s is %s; expected a mapping", path, kindOf(node))
		return nil
	}
	var all []entry
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := resolve(node.Content[i]), resolve(node.Content[i+1])
		if key.ShortTag() == "!!merge" {
			all = p.merge(all, value, path)
			continue
		}
		if key.Kind != yaml.ScalarNode {
			p.fail(key, path, "a key is %s; expected a name", kindOf(key))
			continue
		}
		all = p.set(all, entry{name: key.Value, key: key, value: value}, path)
	}
	return all
}

func (p *parser) set(all []entry, e entry, path string) []entry {
	at := slices.IndexFunc(all, func(other entry) bool { return other.name == e.name })
	if at < 0 {
		return append(all, e)
	}
	if !all[at].merged {
		p.warn(e.key, join(path, e.name), "%s is written twice, first in line %d; the last one counts", e.name, all[at].key.Line)
	}
	all[at] = e
	return all
}

// merge adds the keys of a merged mapping that are not there yet.
func (p *parser) merge(all []entry, value *yaml.Node, path string) []entry {
	from := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		from = value.Content
	}
	for _, node := range from {
		node = resolve(node)
		for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
			key := resolve(node.Content[i])
			if !slices.ContainsFunc(all, func(e entry) bool { return e.name == key.Value }) {
				all = append(all, entry{name: key.Value, key: key, value: resolve(node.Content[i+1]), merged: true})
			}
		}
	}
	return all
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// text returns a scalar's text as it is written.
func (p *parser) text(node *yaml.Node, path string) string {
	if node.Kind != yaml.ScalarNode {
		p.fail(node, path, "%s is %s; expected text", path, kindOf(node))
		return ""
	}
	return node.Value
}

// list returns the texts of a list; one text alone is a list of one, nothing an
// empty one.
func (p *parser) list(node *yaml.Node, path string) []string {
	var all []string
	for _, item := range p.items(node) {
		if isNull(item) {
			p.warn(item, path, "an item of %s is empty and left out", path)
			continue
		}
		all = append(all, p.text(item, path))
	}
	return all
}

func (p *parser) items(node *yaml.Node) []*yaml.Node {
	switch {
	case isNull(node):
		return nil
	case node.Kind != yaml.SequenceNode:
		return []*yaml.Node{node}
	}
	items := make([]*yaml.Node, len(node.Content))
	for i, item := range node.Content {
		items[i] = resolve(item)
	}
	return items
}

// truth reads yes/no, true/false and on/off in any case; nothing is no.
func (p *parser) truth(node *yaml.Node, path string) bool {
	switch strings.ToLower(p.text(node, path)) {
	case "yes", "true", "on", "y":
		return true
	case "no", "false", "off", "n", "", "null", "~":
		return false
	}
	if node.Kind == yaml.ScalarNode {
		p.fail(node, path, "%s is %q; expected yes or no", path, node.Value)
	}
	return false
}

// variables reads a mapping of names and texts.
func (p *parser) variables(node *yaml.Node, path string) []Variable {
	var all []Variable
	for _, e := range p.entries(node, path) {
		value := ""
		if !isNull(e.value) || e.value.Value != "" {
			value = p.text(e.value, join(path, e.name))
		}
		all = append(all, Variable{Name: e.name, Value: value, Line: e.key.Line, Column: e.key.Column})
	}
	return all
}

// unknown notes a key nobody knows: a warning, as in the service.
func (p *parser) unknown(e entry, section, path string, known []string) {
	where := "in " + path
	if path == "" {
		where = "at the top"
	}
	p.warn(e.key, join(path, e.name), "unknown key %q %s%s (expected %s)", e.name, where, diag.DidYouMean(e.name, known), strings.Join(known, ", "))
	p.spec.Unknown = append(p.spec.Unknown, UnknownKey{Section: section, Key: e.name})
}
