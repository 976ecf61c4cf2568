package project

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// reader reads the nodes of one document and collects problems. Its methods return the zero
// value for a node that they report.
type reader struct {
	findings
}

// node is a value of the document with its key path.
type node struct {
	*yaml.Node
	path string
}

// entry is one key of a mapping with its value.
type entry struct {
	key, value node
	name       string // as the API spells it
	again      bool   // the mapping has the same key again further below, and that one wins
}

// entries returns the keys of a mapping. It returns the last of several duplicate
// keys and warns about the others.
func (r *reader) entries(n node) []entry {
	n = n.resolved()
	if !n.null() && (n.Kind != yaml.MappingNode || isFunction(n)) {
		r.wrong(n, "a mapping")
		return nil
	}
	var kept []entry
	for _, f := range n.fields() {
		switch {
		case f.key.Tag == "!!merge":
			r.problem(diag.Error, f.key, `merge keys ("<<") are not supported; write the keys out`)
		case f.again:
			r.problem(diag.Warning, f.key, "duplicate key %s; the last one wins", f.value.path)
		default:
			kept = append(kept, f)
		}
	}
	return kept
}

// fields returns the keys of a mapping in file order, duplicates included.
func (n node) fields() []entry {
	var all []entry
	last := map[string]int{}
	if n.Node == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := node{Node: n.Content[i], path: n.path}
		name := apiName(key.resolved().Value)
		if before, ok := last[name]; ok {
			all[before].again = true
		}
		last[name] = len(all)
		value := node{Node: n.Content[i+1], path: join(n.path, name)}
		all = append(all, entry{key: key, value: value.resolved(), name: name})
	}
	return all
}

// apiName returns the API's spelling of a key, given in that of the API or of CloudFormation.
func apiName(key string) string {
	if key == "BuildSpec" {
		return "buildspec"
	}
	first, size := utf8.DecodeRuneInString(key)
	return string(unicode.ToLower(first)) + key[size:]
}

// join appends a key to a key path.
func join(path, key string) string {
	if path == "" {
		return short(key)
	}
	return path + "." + short(key)
}

// items returns the items of a list.
func (r *reader) items(n node) []node {
	n = n.resolved()
	if !n.null() && n.Kind != yaml.SequenceNode {
		r.wrong(n, "a list")
		return nil
	}
	return n.children()
}

// children returns the items of a list, or nil if n is not a list.
func (n node) children() []node {
	if n.Node == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	items := make([]node, len(n.Content))
	for i, item := range n.Content {
		items[i] = node{Node: item, path: fmt.Sprintf("%s[%d]", n.path, i)}.resolved()
	}
	return items
}

// child returns the value of a key, or a node without a value if n lacks the key.
func (n node) child(name string) node {
	for _, f := range n.fields() {
		if f.name == name && !f.again {
			return f.value
		}
	}
	return node{Node: &yaml.Node{}, path: join(n.path, name)}
}

// text returns a scalar with its spelling: 010, 1.10 and yes are not converted.
func (r *reader) text(n node) string {
	if n.null() {
		return ""
	}
	if n.Kind != yaml.ScalarNode || isFunction(n) {
		r.wrong(n, "a string")
		return ""
	}
	return n.Value
}

// optionalText is text for a field without an effect on the commands of a build, such as the
// ARN of a role. A function of CloudFormation in its place is only a warning.
func (r *reader) optionalText(n node) string {
	if isFunction(n) {
		r.problem(diag.Warning, n, "%s is ignored, because only CloudFormation can evaluate %s", n.path, n.kind())
		return ""
	}
	return r.text(n)
}

// word returns a string that should be one of known. Other values are reported with severity
// bad.
func (r *reader) word(n node, known []string, bad diag.Severity) string {
	s := r.text(n)
	// The search for a suggestion is expensive, so the limit is checked before.
	if s != "" && !slices.Contains(known, s) && !r.full(bad) {
		r.problem(bad, n, "unknown %s %s", n.path, shown(s)).Hint = hintFor(s, known)
	}
	return s
}

// flag returns a boolean in any of YAML's spellings, quoted or not.
func (r *reader) flag(n node) bool {
	// yaml.v3 follows YAML 1.2, in which yes and no are strings; users write them nevertheless.
	word := strings.ToLower(n.Value)
	yes := slices.Contains([]string{"true", "yes", "on"}, word)
	no := n.null() || slices.Contains([]string{"false", "no", "off"}, word)
	if !yes && !no || isFunction(n) {
		r.wrong(n, "true or false")
	}
	return yes
}

// bounds is the range of a number and its unit, for messages.
type bounds struct {
	least, most int
	unit        string
}

// number returns an integer, quoted or not.
func (r *reader) number(n node, b bounds) int {
	if n.null() {
		return 0
	}
	i, err := strconv.Atoi(n.Value)
	if err != nil || n.Kind != yaml.ScalarNode || isFunction(n) {
		r.wrong(n, "a whole number")
		return 0
	}
	// The ranges are those of the API, which would refuse the project.
	if i < b.least || i > b.most {
		r.problem(diag.Error, n, "%s must be %d to %d%s, not %d", n.path, b.least, b.most, b.unit, i)
		return 0
	}
	return i
}

// resolved follows aliases.
func (n node) resolved() node {
	for n.Node != nil && n.Kind == yaml.AliasNode {
		n.Node = n.Alias
	}
	return n
}

// null reports whether n is absent or null.
func (n node) null() bool {
	return n.Node == nil || n.Kind == 0 || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// kind describes the type of n in a message.
func (n node) kind() string {
	switch {
	case isFunction(n) && n.Kind == yaml.MappingNode:
		return "the function " + short(n.Content[0].Value)
	case isFunction(n):
		return "the function " + short(n.Tag)
	case n.null():
		return "null"
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	}
	return shown(n.Value)
}

// isFunction reports whether n is an intrinsic function of CloudFormation: !Ref x,
// {"Ref": "x"} or {"Fn::Sub": "x"}.
func isFunction(n node) bool {
	// The short form has a tag of its own, and the long form is a mapping with one key.
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") && n.Tag != "!" {
		return true
	}
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 {
		return false
	}
	key := n.Content[0].Value
	return key == "Ref" || strings.HasPrefix(key, "Fn::")
}
