// Package config reads configuration files, and knows of each setting how far
// it reaches: into the build alone, or to the machine and the accounts of the
// user who runs it.
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

// MaxSize is how many bytes a configuration file may have.
const MaxSize = 256 << 10

// File is a configuration file: settings by name.
type File struct {
	Name    string // as messages show it
	lines   []string
	entries map[string]Entry
}

// Entry is one setting of a File: its values, and the place of its key.
type Entry struct {
	Values       []Value
	Line, Column int // from 1
}

// Value is one value of an Entry and its place.
type Value struct {
	Text         string
	Line, Column int // from 1
}

// Texts returns the values without their places.
func (e Entry) Texts() []string {
	texts := make([]string, len(e.Values))
	for i, v := range e.Values {
		texts[i] = v.Text
	}
	return texts
}

// Get returns a setting, and whether the file has it. A nil File has none.
func (f *File) Get(name string) (Entry, bool) {
	if f == nil {
		return Entry{}, false
	}
	e, found := f.entries[name]
	return e, found
}

// Names returns the settings of the file, sorted.
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

// Problem returns a problem at the place of a setting.
func (f *File) Problem(e Entry, message string) diag.Problem {
	p := diag.Problem{File: f.Name, Line: e.Line, Column: e.Column, Message: message}
	if e.Line > 0 && e.Line <= len(f.lines) {
		p.Excerpt = f.lines[e.Line-1]
	}
	return p
}

// Parse reads the text of a configuration file: a YAML mapping of the settings
// in known, whose values are strings or lists of strings. It returns what can be
// read, and every problem.
func Parse(name string, text []byte, known []string) (*File, diag.List) {
	f := &File{Name: name, lines: strings.Split(string(text), "\n"), entries: map[string]Entry{}}
	doc, more, err := decode(text)
	switch {
	case err != nil:
		return f, diag.List{f.syntax(err)}
	case more != nil:
		return f, diag.List{f.Problem(Entry{Line: more.Line, Column: more.Column}, "found a second document; expected all settings in one")}
	case len(doc.Content) == 0:
		return f, nil
	}
	return f, f.read(doc.Content[0], known)
}

// decode returns the first document of a text, and the second if there is one. It turns
// a panic of the decoder, known for some broken texts, into an error.
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

func (f *File) syntax(err error) diag.Problem {
	place := regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	line := 0
	if m := place.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
	}
	return f.Problem(Entry{Line: line}, place.ReplaceAllString(err.Error(), "")+"; expected lines such as image: NAME")
}

func (f *File) read(root *yaml.Node, known []string) diag.List {
	if root.Kind != yaml.MappingNode {
		return diag.List{f.Problem(Entry{Line: root.Line, Column: root.Column}, "expected lines such as image: NAME")}
	}
	var problems diag.List
	for i := 0; i+1 < len(root.Content); i += 2 {
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
			problems = append(problems, f.Problem(e, err.Error()))
			continue
		}
		f.entries[key.Value] = e
	}
	return problems
}

// maxProblems is how many problems of a file are listed, and maxValues how many values a
// setting may have.
const (
	maxProblems = 20
	maxValues   = 1000
)

func (f *File) check(key *yaml.Node, known []string) error {
	if !slices.Contains(known, key.Value) {
		return fmt.Errorf("unknown key %q%s (expected %s)", key.Value, diag.DidYouMean(key.Value, known), strings.Join(known, ", "))
	}
	if before, twice := f.entries[key.Value]; twice {
		return fmt.Errorf("%s is set twice, first in line %d", key.Value, before.Line)
	}
	return nil
}

// values returns the strings of a node. The mapping of images is a list of
// NAME=IMAGE.
func values(key string, n *yaml.Node) ([]Value, error) {
	n = resolved(n)
	var all []Value
	if n.Kind == yaml.MappingNode && key == "images" {
		for i := 0; i+1 < len(n.Content); i += 2 {
			from, to := n.Content[i], resolved(n.Content[i+1])
			all = append(all, Value{from.Value + "=" + to.Value, from.Line, from.Column})
		}
		return all, nil
	}
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	if len(items) > maxValues {
		return nil, fmt.Errorf("%s has %d values; expected at most %d", key, len(items), maxValues)
	}
	for _, item := range items {
		item = resolved(item)
		if item.Kind != yaml.ScalarNode {
			return nil, errors.New(key + " must be a string or a list of strings")
		}
		all = append(all, Value{item.Value, item.Line, item.Column})
	}
	return all, nil
}

// resolved follows an alias. An anchor cannot name an alias, so one step is all.
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
