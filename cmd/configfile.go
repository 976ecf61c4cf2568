package cmd

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// config is the file beside the source.
type config struct {
	name    string
	lines   []string
	entries map[string]entry
}

// entry is one key's values and place.
type entry struct {
	values       []string
	line, column int
}

func (c *config) get(name string) (entry, bool) {
	if c == nil {
		return entry{}, false
	}
	e, found := c.entries[name]
	return e, found
}

func (c *config) problem(e entry, message string) diag.Problem {
	p := diag.Problem{File: c.name, Line: e.line, Column: e.column, Message: message}
	if e.line > 0 && e.line <= len(c.lines) {
		p.Excerpt = c.lines[e.line-1]
	}
	return p
}

// readConfig reads the file; there need not be one. Its keys are the flags.
func readConfig(name string, flags *pflag.FlagSet) (*config, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil // a source that is no directory is told when it is opened
	}
	if err != nil {
		return nil, usagef("read %s: %w", name, err)
	}
	c := &config{name: name, lines: strings.Split(string(text), "\n"), entries: map[string]entry{}}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, diag.List{c.syntax(err)}
	}
	if len(doc.Content) == 0 {
		return c, nil
	}
	return c, c.read(doc.Content[0], flags).Err()
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func (c *config) syntax(err error) diag.Problem {
	m := yamlLine.FindStringSubmatch(err.Error())
	line := 0
	if m != nil {
		line, _ = strconv.Atoi(m[1])
	}
	return c.problem(entry{line: line}, yamlLine.ReplaceAllString(err.Error(), "")+"; expected lines such as image: NAME")
}

func (c *config) read(root *yaml.Node, flags *pflag.FlagSet) diag.List {
	var problems diag.List
	if root.Kind != yaml.MappingNode {
		return diag.List{c.problem(entry{line: root.Line, column: root.Column}, "expected lines such as image: NAME")}
	}
	known := fileKeys(flags)
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		e := entry{line: key.Line, column: key.Column}
		if message := c.entry(&e, key, value, known); message != "" {
			problems = append(problems, c.problem(e, message))
		} else if message := single(flags.Lookup(key.Value), e); message != "" {
			problems = append(problems, c.problem(e, message))
		}
		c.entries[key.Value] = e
	}
	return problems
}

// entry fills e from a key and its value, or returns what is wrong.
func (c *config) entry(e *entry, key, value *yaml.Node, known []string) string {
	if !slices.Contains(known, key.Value) {
		return fmt.Sprintf("unknown key %q%s (expected %s)", key.Value, diag.DidYouMean(key.Value, known), strings.Join(known, ", "))
	}
	if before, twice := c.entries[key.Value]; twice {
		return fmt.Sprintf("%s is written twice, first in line %d", key.Value, before.line)
	}
	items := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		items = value.Content
	}
	if value.Kind == yaml.MappingNode && key.Value == "images" {
		for i := 0; i+1 < len(value.Content); i += 2 {
			e.values = append(e.values, value.Content[i].Value+"="+value.Content[i+1].Value)
		}
		return ""
	}
	for _, item := range items {
		if item.Kind == yaml.AliasNode {
			item = item.Alias
		}
		if item.Kind != yaml.ScalarNode {
			return key.Value + " holds something that is no text; expected text or a list of texts"
		}
		e.values = append(e.values, item.Value)
	}
	return ""
}

func single(flag *pflag.Flag, e entry) string {
	if flag.Value.Type() == "stringArray" || len(e.values) == 1 {
		return ""
	}
	return fmt.Sprintf("%s holds %d values; expected one", flag.Name, len(e.values))
}

// fileKeys are the flags the file may hold, sorted: all but the one that says
// where the file is.
func fileKeys(flags *pflag.FlagSet) []string {
	var keys []string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && f.Name != "source" {
			keys = append(keys, f.Name)
		}
	})
	slices.Sort(keys)
	return keys
}
