// Package config reads configuration files, and describes how far each setting reaches: only into
// the build, or also to the host and the accounts of the user who runs it.
//
// Parse reads a file. Settings is the table of all settings, and Source.Claims lists the accesses
// that need the user's consent if the file is part of the source, which an attacker may have
// written. The package does not ask the user and does not store the answer; see package trust.
package config

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

// MaxSize limits the size of a configuration file, in bytes. The largest plausible file has a few
// kilobytes.
const MaxSize = 256 << 10

// File is a parsed configuration file.
type File struct {
	Name  string // for messages
	lines []string
	// by name; a setting that is written twice is an error, so there is one entry for each
	entries map[string]Entry
}

// Entry is a setting of a File: its values, and the position of its key.
type Entry struct {
	Values       []Value
	Line, Column int // from 1
}

// Value is a value of an Entry and its position.
type Value struct {
	Text         string
	Line, Column int // from 1
}

// Texts returns the values without their positions.
func (e Entry) Texts() []string {
	texts := make([]string, len(e.Values))
	for i, v := range e.Values {
		texts[i] = v.Text
	}
	return texts
}

// Get returns a setting, and whether the file has it. It may be called on nil.
func (f *File) Get(name string) (Entry, bool) {
	if f == nil {
		return Entry{}, false
	}
	e, found := f.entries[name]
	return e, found
}

// Names returns the names of the settings in the file, sorted.
func (f *File) Names() []string {
	var names []string
	if f != nil {
		for name := range f.entries {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Problem returns a problem at a setting.
func (f *File) Problem(e Entry, message string) diag.Problem {
	p := diag.Problem{File: f.Name, Line: e.Line, Column: e.Column, Message: message}
	if e.Line > 0 && e.Line <= len(f.lines) {
		p.Excerpt = f.lines[e.Line-1]
	}
	return p
}

// Parse parses a configuration file: a YAML mapping of the settings in known, with strings or lists
// of strings as values. It returns the settings that could be read and all problems. name is used
// in messages only.
func Parse(name string, text []byte, known []string) (*File, diag.List) {
	f := &File{Name: name, lines: strings.Split(string(text), "\n"), entries: map[string]Entry{}}
	doc, more, err := decode(text)
	switch {
	case err != nil:
		return f, diag.List{f.syntax(err)}
	case more != nil:
		p := f.Problem(Entry{Line: more.Line, Column: more.Column}, "a second document begins here")
		p.Hint = "put all settings in the first one"
		return f, diag.List{p}
	case len(doc.Content) == 0:
		return f, nil
	}
	return f, f.read(doc.Content[0], known)
}

// decode returns the first document of a text, and the second one if there is any. A panic of the
// decoder, which is known to occur on some malformed input, becomes an error.
func decode(text []byte) (first yaml.Node, second *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: %v", p)
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&first); err != nil && !errors.Is(err, io.EOF) {
		return first, nil, err
	}
	second = &yaml.Node{}
	switch err := d.Decode(second); {
	case errors.Is(err, io.EOF):
		return first, nil, nil
	case err != nil:
		return first, nil, err
	}
	return first, second, nil
}

// syntax converts an error of yaml.v3.
func (f *File) syntax(err error) diag.Problem {
	// The expression is compiled here, because most files have no syntax error.
	place := regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	line := 0
	if m := place.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
	}
	p := f.Problem(Entry{Line: line}, place.ReplaceAllString(err.Error(), ""))
	p.Hint = linesHint
	return p
}

const linesHint = "write lines such as image: NAME"

// read reads the settings of the root mapping.
func (f *File) read(root *yaml.Node, known []string) diag.List {
	if root.Kind != yaml.MappingNode {
		p := f.Problem(Entry{Line: root.Line, Column: root.Column}, "the file is not a mapping")
		p.Hint = linesHint
		return diag.List{p}
	}
	var problems diag.List
	for i := 0; i+1 < len(root.Content); i += 2 {
		// A file of another kind would otherwise result in a problem for each line.
		if len(problems) == maxProblems {
			return append(problems, diag.Problem{File: f.Name, Message: "more problems are not listed"})
		}
		key := root.Content[i]
		e := Entry{Line: key.Line, Column: key.Column}
		err := f.check(key, known)
		if err == nil {
			e.Values, err = values(key.Value, root.Content[i+1])
		}
		if err != nil {
			p := f.Problem(e, err.Error())
			if !slices.Contains(known, key.Value) { // all keys would be too many for a hint
				p.Hint = diag.Question(key.Value, known)
			}
			problems = append(problems, p)
			continue
		}
		f.entries[key.Value] = e
	}
	return problems
}

// maxProblems limits the reported problems of a file, and maxValues the values of a setting.
const (
	maxProblems = 20
	maxValues   = 1000
)

// check checks a key.
func (f *File) check(key *yaml.Node, known []string) error {
	if !slices.Contains(known, key.Value) {
		return fmt.Errorf("unknown key %q", key.Value)
	}
	if before, twice := f.entries[key.Value]; twice {
		return fmt.Errorf("duplicate key %s, first in line %d", key.Value, before.Line)
	}
	return nil
}

// values returns the strings of a node. For settings of pairs, such as env, a mapping becomes a
// list of NAME=VALUE, or of NAME for a key without a value.
func values(key string, n *yaml.Node) ([]Value, error) {
	n = resolved(n)
	var all []Value
	if n.Kind == yaml.MappingNode && slices.Contains(pairs, key) {
		return pairValues(key, n)
	}
	// A single value is a list of one, as on the command line.
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	if len(items) > maxValues {
		return nil, fmt.Errorf("%s has %d values; the maximum is %d", key, len(items), maxValues)
	}
	for _, item := range items {
		item = resolved(item)
		if item.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("%s must be %s", key, expectedType(key))
		}
		all = append(all, Value{item.Value, item.Line, item.Column})
	}
	return all, nil
}

// pairs are the settings whose flags take NAME=VALUE. People write a mapping for them in YAML.
var pairs = []string{"env", "images", "secondary-source", "artifacts", "inputs"}

// several are those pairs whose values may be lists: NAME=VALUE for each item, and NAME= for an empty
// list.
var several = []string{"inputs"}

// pairValues returns the values of a mapping.
func pairValues(key string, n *yaml.Node) ([]Value, error) {
	var all []Value
	for i := 0; i+1 < len(n.Content); i += 2 {
		from, to := n.Content[i], resolved(n.Content[i+1])
		if to.Kind == yaml.SequenceNode && slices.Contains(several, key) {
			items, err := listValues(key, from.Value, to)
			if err != nil {
				return nil, err
			}
			all = append(all, items...)
			continue
		}
		if to.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("%s must be %s", key, expectedType(key))
		}
		text := from.Value
		if to.Tag != "!!null" {
			text += "=" + to.Value
		}
		all = append(all, Value{text, from.Line, from.Column})
	}
	if len(all) > maxValues {
		return nil, fmt.Errorf("%s has %d values; the maximum is %d", key, len(all), maxValues)
	}
	return all, nil
}

// listValues returns the values of a list in a mapping.
func listValues(key, name string, n *yaml.Node) ([]Value, error) {
	if len(n.Content) == 0 {
		return []Value{{name + "=", n.Line, n.Column}}, nil
	}
	if len(n.Content) > maxValues {
		return nil, fmt.Errorf("%s has %d values for %s; the maximum is %d", key, len(n.Content), name, maxValues)
	}
	var all []Value
	for _, item := range n.Content {
		item = resolved(item)
		if item.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("%s must be %s", key, expectedType(key))
		}
		all = append(all, Value{name + "=" + item.Value, item.Line, item.Column})
	}
	return all, nil
}

// expectedType describes the values of a setting.
func expectedType(key string) string {
	if slices.Contains(several, key) {
		return "a mapping of strings or lists of strings"
	}
	if slices.Contains(pairs, key) {
		return "a list or a mapping of strings"
	}
	return "a string or a list of strings"
}

// resolved follows an alias. An anchor cannot be on an alias, so one step is enough.
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
