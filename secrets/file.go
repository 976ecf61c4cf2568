package secrets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// Sections of a file of secrets, which are those of a buildspec's env.
const (
	parameterSection = "parameter-store"
	secretSection    = "secrets-manager"
)

// File is a Store of values that somebody wrote down, or says how to get.
type File struct {
	name    string
	entries []entry
}

// entry is one value of a File.
type entry struct {
	kind Kind
	ref  Reference // of a parameter only the name
	key  *yaml.Node
	node *yaml.Node
}

// ParseFile reads a file of secrets: the mappings parameter-store and
// secrets-manager, of names or ARNs to values. A value is a text; a list of texts,
// for a parameter of type StringList; a mapping, for a JSON secret; or stands
// elsewhere, by the tags !file PATH and !cmd COMMAND, which Lookup follows. A name
// with nothing behind it is not filled in yet, and so is missing. name
// is how the file is told, and PATH and COMMAND are seen from its directory.
// Problems never show a value.
func ParseFile(name string, text []byte) (*File, diag.List) {
	f := &File{name: name}
	var doc, more yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return f, diag.List{syntax(name, err)}
	}
	if len(doc.Content) == 0 {
		return f, nil
	}
	r := &fileReader{File: f}
	r.root(doc.Content[0])
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		r.wrong(&more, "found a second document behind ---; expected all values in one")
	}
	r.problems.Sort()
	return f, r.problems
}

// syntax tells an error of YAML, but for a text that may be a value.
func syntax(name string, err error) diag.Problem {
	p := diag.Problem{File: name}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if _, scan := fmt.Sscanf(text, "line %d:", &p.Line); scan == nil {
		_, text, _ = strings.Cut(text, ": ")
	}
	if strings.HasPrefix(text, "unknown anchor") {
		text = "a value begins with *, which is an alias in YAML"
	}
	p.Message = "the file is no YAML: " + text + "; put a value with other characters than letters and digits in quotes"
	return p
}

// Encrypted reports whether a file of secrets was encrypted by SOPS.
func Encrypted(text []byte) bool { return sopsOf(text)["mac"] != nil }

// AsksServer reports whether sops would ask a server that an encrypted file names,
// and send it the user's token: HashiCorp Vault and Azure Key Vault.
func AsksServer(text []byte) bool {
	for _, kind := range []string{"hc_vault", "azure_kv", "key_groups"} {
		if list, ok := sopsOf(text)[kind].([]any); ok && len(list) > 0 {
			return true
		}
	}
	return false
}

func sopsOf(text []byte) map[string]any {
	var doc struct {
		SOPS map[string]any `yaml:"sops"`
	}
	_ = yaml.Unmarshal(text, &doc) // what is not YAML is not encrypted
	return doc.SOPS
}

type fileReader struct {
	*File
	problems diag.List
	seen     int // values
}

func (r *fileReader) wrong(n *yaml.Node, format string, args ...any) {
	r.problems = append(r.problems, diag.Problem{File: r.name, Line: n.Line, Column: n.Column, Message: fmt.Sprintf(format, args...)})
}

func (r *fileReader) root(n *yaml.Node) {
	kinds := map[string]Kind{parameterSection: ParameterStore, secretSection: SecretsManager}
	known := []string{parameterSection, secretSection}
	if n.Kind != yaml.MappingNode {
		r.wrong(n, "found %s; expected a mapping of %s and %s", word(n), known[0], known[1])
		return
	}
	for key, value := range pairs(n) {
		kind, found := kinds[key.Value]
		switch {
		case !found:
			r.wrong(key, "unknown key %q%s (expected %s)", key.Value, diag.DidYouMean(key.Value, known), strings.Join(known, ", "))
		case value.Kind == yaml.MappingNode:
			r.section(kind, value)
		case value.ShortTag() != "!!null":
			r.wrong(value, "%s holds %s; expected lines of NAME: VALUE", key.Value, word(value))
		}
	}
}

func (r *fileReader) section(kind Kind, n *yaml.Node) {
	lines := map[string]int{}
	for key, value := range pairs(n) {
		e := entry{kind: kind, ref: Reference{SecretID: key.Value}, key: key, node: value}
		if kind == SecretsManager {
			var err error
			if e.ref, err = ParseReference(key.Value); err != nil {
				r.wrong(key, "%v", err)
				continue
			}
		}
		if before := lines[key.Value]; before > 0 {
			r.wrong(key, "%s is written twice, first in line %d", key.Value, before)
		}
		lines[key.Value] = key.Line
		if r.value(key.Value, kind, value, 0) {
			r.entries = append(r.entries, e)
		}
	}
}

// deepest is how many levels a JSON secret may have, and most how many values the
// file: YAML may refer to itself, and to the same many times.
const (
	deepest = 100
	most    = 100_000
)

// value checks one value, and reports whether it is one.
func (r *fileReader) value(name string, kind Kind, n *yaml.Node, depth int) bool {
	n = resolve(n)
	r.seen++
	if n.Kind == yaml.ScalarNode && n.Style == 0 && strings.HasPrefix(n.LineComment, "#") && !strings.HasPrefix(n.LineComment, "# ") {
		r.problems = append(r.problems, diag.Problem{Severity: diag.Warning, File: r.name, Line: n.Line, Column: n.Column, Message: name + " ends where a # begins a comment; put the value in quotes if that belongs to it"})
	}
	tag := n.ShortTag()
	switch {
	case n.Kind == yaml.MappingNode && r.twice(name, n):
	case depth > deepest, r.seen > most:
		r.wrong(n, "%s has more than %d levels, or the file more than %d values", name, deepest, most)
	case n.Kind == yaml.MappingNode && kind == ParameterStore:
		r.wrong(n, "%s holds a mapping; expected a text: a parameter has no keys", name)
	case n.Kind == yaml.ScalarNode && isElsewhere(tag) && strings.TrimSpace(n.Value) == "":
		r.wrong(n, "%s has nothing behind %s; expected !file PATH or !cmd COMMAND", name, tag)
	case !strings.HasPrefix(tag, "!!") && !(isElsewhere(tag) && n.Kind == yaml.ScalarNode):
		r.wrong(n, "%s has the tag %s on %s; expected !file PATH, !cmd COMMAND or no tag", name, tag, word(n))
	default:
		return !slices.ContainsFunc(n.Content, func(child *yaml.Node) bool { return !r.value(name, kind, child, depth+1) })
	}
	return false
}

// twice tells keys of a JSON secret that stand twice, and those that merge another
// mapping into it.
func (r *fileReader) twice(name string, n *yaml.Node) bool {
	found, lines := false, map[string]int{}
	for key := range pairs(n) {
		switch before := lines[key.Value]; {
		case key.ShortTag() == "!!merge":
			r.wrong(key, "%s merges a mapping by <<; write its keys out", name)
			found = true
		case before > 0:
			r.wrong(key, "the key %s of %s is written twice, first in line %d", key.Value, name, before)
			found = true
		}
		lines[key.Value] = key.Line
	}
	return found
}

// resolve follows an alias.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isElsewhere(tag string) bool { return tag == "!file" || tag == "!cmd" }

// pairs are the keys of a mapping with their values.
func pairs(n *yaml.Node) func(func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], resolve(n.Content[i+1])) {
				return
			}
		}
	}
}

// word says what a node is.
func word(n *yaml.Node) string {
	switch resolve(n).Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a text"
}

// Elsewhere returns the values that this machine is asked for: files that !file
// reads and commands that !cmd runs. Each is a problem for who cannot vouch for
// the file.
func (f *File) Elsewhere() diag.List {
	var all diag.List
	for _, e := range f.entries {
		all = append(all, f.elsewhere(e.node, 0)...)
	}
	return all
}

func (f *File) elsewhere(n *yaml.Node, depth int) diag.List {
	n = resolve(n)
	if isElsewhere(n.ShortTag()) {
		did := map[string]string{"!file": "reads a file of", "!cmd": "runs a command on"}[n.ShortTag()]
		return diag.List{{File: f.name, Line: n.Line, Column: n.Column, Message: n.ShortTag() + " " + did + " this machine"}}
	}
	var all diag.List
	for _, child := range n.Content {
		if depth < deepest {
			all = append(all, f.elsewhere(child, depth+1)...)
		}
	}
	return all
}

// Where returns the place of the value for a need, such as secrets.yml:4, and
// whether there is one. Nothing is read or run for it.
func (f *File) Where(need Need) (place string, found bool) {
	e, found := f.find(need)
	if !found {
		return "", false
	}
	return fmt.Sprintf("%s:%d", f.name, e.key.Line), true
}

// find returns the entry for a need: one that is spelt as it is, else one that means
// the same. A name without a version is the current one: another version needs an
// entry of its own.
func (f *File) find(need Need) (entry, bool) {
	want := Reference{SecretID: need.Ref}
	if need.Kind == SecretsManager {
		var err error
		if want, err = ParseReference(need.Ref); err != nil {
			return entry{}, false
		}
	}
	same := map[Kind]func(a, b string) bool{ParameterStore: sameParameter, SecretsManager: sameSecret}[need.Kind]
	for _, means := range []func(a, b string) bool{func(a, b string) bool { return a == b }, same} {
		for _, key := range slices.Compact([]string{want.JSONKey, ""}) { // its own entry, else its secret's
			at := slices.IndexFunc(f.entries, func(e entry) bool {
				return e.kind == need.Kind && e.ref.JSONKey == key && e.ref.current() == want.current() && e.ref.VersionID == want.VersionID && means(e.ref.SecretID, want.SecretID)
			})
			if at >= 0 {
				e := f.entries[at]
				return e, !empty(e.node, strings.TrimPrefix(want.JSONKey, key))
			}
		}
	}
	return entry{}, false
}

// empty reports whether a value, or that of a key of it, is not filled in, or not
// wholly.
func empty(n *yaml.Node, key string) bool {
	if child := childOf(n, key); child != nil {
		n = child
	}
	n = resolve(n)
	return n.ShortTag() == "!!null" || slices.ContainsFunc(n.Content, func(child *yaml.Node) bool { return empty(child, "") })
}

// Lookup returns what the file says, reads and runs what it names. See Store.
func (f *File) Lookup(ctx context.Context, needs []Need) []Answer {
	answers := make([]Answer, len(needs))
	for i, need := range needs {
		answers[i] = f.answer(ctx, need)
	}
	return answers
}

func (f *File) answer(ctx context.Context, need Need) Answer {
	e, found := f.find(need)
	if !found {
		return Answer{Err: fmt.Errorf("%s: %w", need.Ref, ErrMissing)}
	}
	a := Answer{From: fmt.Sprintf("%s:%d", f.name, e.key.Line)}
	key, node := "", e.node
	if want, err := ParseReference(need.Ref); need.Kind == SecretsManager && err == nil && e.ref.JSONKey == "" {
		key = want.JSONKey
	}
	if child := childOf(e.node, key); child != nil { // the others are left alone
		key, node = "", child
	}
	text, err := f.text(ctx, e.kind, node)
	if err != nil {
		a.Err = fmt.Errorf("%s, the value of %s: %w", a.From, e.key.Value, err)
		return a
	}
	a.Value = text
	if key != "" {
		a.Whole = a.Value
		if a.Value, a.Err = Part(a.Whole, key, need.Ref); a.Err != nil {
			a.Err = fmt.Errorf("%s: %w", a.From, a.Err)
		}
	}
	return a
}

// childOf returns the value of a key of a mapping; nil where there is none.
func childOf(n *yaml.Node, key string) *yaml.Node {
	n = resolve(n)
	if n.Kind == yaml.MappingNode && key != "" {
		for k, v := range pairs(n) {
			if k.Value == key {
				return v
			}
		}
	}
	return nil
}
