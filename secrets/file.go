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

// Sections of a secrets file, named as those of a buildspec's env.
const (
	parameterSection = "parameter-store"
	secretSection    = "secrets-manager"
)

// Tags of values that are not in the file itself.
const (
	fileTag    = "!file"
	commandTag = "!cmd"
)

// File is a Store of the values in a secrets file. A File may be used concurrently.
type File struct {
	name    string // as the user wrote it, or "-"
	entries []entry
}

// entry is one value of a File.
type entry struct {
	kind Kind
	ref  Reference // of a parameter, only SecretID is set
	key  *yaml.Node
	node *yaml.Node // the value
}

// ParseFile parses a secrets file: the mappings parameter-store and secrets-manager, from
// names or ARNs to values. A value is a text; a list of texts, for a parameter of type
// StringList; a mapping, for a JSON secret; or one of the tags !file PATH and !cmd
// COMMAND, which Lookup evaluates in the file's directory. An entry without a value
// counts as missing. name is the file's name in messages. Problems never show a value.
func ParseFile(name string, text []byte) (*File, diag.List) {
	f := &File{name: name}
	var doc, more yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return f, diag.List{syntaxProblem(name, err)}
	}
	if len(doc.Content) == 0 {
		return f, nil
	}
	r := &fileReader{File: f}
	r.root(doc.Content[0])
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		r.errorf(&more, "found a second document after ---").Hint = "write all values in one document"
	}
	r.problems.Sort()
	return f, r.problems
}

// syntaxProblem describes a YAML error without the name of an unknown anchor, which may
// be part of a value.
func syntaxProblem(name string, err error) diag.Problem {
	p := diag.Problem{File: name}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if _, scan := fmt.Sscanf(text, "line %d:", &p.Line); scan == nil {
		_, text, _ = strings.Cut(text, ": ")
	}
	if strings.HasPrefix(text, "unknown anchor") {
		text = "a value begins with *, which is an alias in YAML"
	}
	p.Message = "invalid YAML: " + text
	p.Hint = "put a value with other characters than letters and digits in quotes"
	return p
}

// Encrypted reports whether a secrets file is encrypted with SOPS.
func Encrypted(text []byte) bool { return sopsOf(text)["mac"] != nil }

// AsksServer reports whether decrypting a file makes sops connect to a server that the
// file names, and send it the user's token: HashiCorp Vault or Azure Key Vault.
func AsksServer(text []byte) bool {
	for _, kind := range []string{"hc_vault", "azure_kv", "key_groups"} {
		if list, ok := sopsOf(text)[kind].([]any); ok && len(list) > 0 {
			return true
		}
	}
	return false
}

// sopsOf returns the metadata that SOPS adds to an encrypted file.
func sopsOf(text []byte) map[string]any {
	var doc struct {
		SOPS map[string]any `yaml:"sops"`
	}
	_ = yaml.Unmarshal(text, &doc) // a file that is not YAML is not encrypted
	return doc.SOPS
}

// fileReader collects the entries and all problems of a file.
type fileReader struct {
	*File
	problems diag.List
	seen     int // number of values
}

// errorf adds an error and returns it, so that the caller can set its hint.
func (r *fileReader) errorf(n *yaml.Node, format string, args ...any) *diag.Problem {
	r.problems = append(r.problems, diag.Problem{
		File: r.name, Line: n.Line, Column: n.Column, Message: fmt.Sprintf(format, args...),
	})
	return &r.problems[len(r.problems)-1]
}

// root reads the two sections.
func (r *fileReader) root(n *yaml.Node) {
	kinds := map[string]Kind{parameterSection: ParameterStore, secretSection: SecretsManager}
	known := []string{parameterSection, secretSection}
	if n.Kind != yaml.MappingNode {
		r.errorf(n, "found %s, not a mapping", describe(n)).Hint = "use " + diag.Alternatives(known) + " as keys"
		return
	}
	for key, value := range pairs(n) {
		kind, found := kinds[key.Value]
		switch {
		case !found:
			r.errorf(key, "unknown key %q", key.Value).Hint = diag.Choice(key.Value, known)
		case value.Kind == yaml.MappingNode:
			r.section(kind, value)
		case value.ShortTag() != "!!null":
			r.errorf(value, "%s holds %s", key.Value, describe(value)).Hint = "write lines of NAME: VALUE"
		}
	}
}

// section reads the entries of a section. A duplicate is an error, because one of the two values
// would be used silently.
func (r *fileReader) section(kind Kind, n *yaml.Node) {
	lines := map[string]int{}
	for key, value := range pairs(n) {
		e := entry{kind: kind, ref: Reference{SecretID: key.Value}, key: key, node: value}
		if kind == SecretsManager {
			var err error
			if e.ref, err = ParseReference(key.Value); err != nil {
				r.errorf(key, "%v", err)
				continue
			}
		}
		if before := lines[key.Value]; before > 0 {
			r.errorf(key, "%s is written twice, first in line %d", key.Value, before)
		}
		lines[key.Value] = key.Line
		if r.value(key.Value, kind, value, 0) {
			r.entries = append(r.entries, e)
		}
	}
}

// Limits of a file. YAML aliases make a small file large: a node may contain itself, or
// be used many times.
const (
	maxDepth  = 100     // levels of a JSON secret
	maxValues = 100_000 // of a file
)

// value checks one value and reports whether it is valid.
func (r *fileReader) value(name string, kind Kind, n *yaml.Node, depth int) bool {
	n = resolve(n)
	r.seen++
	r.warnComment(name, n)
	tag := n.ShortTag()
	switch {
	case n.Kind == yaml.MappingNode && r.duplicates(name, n):
	case depth > maxDepth, r.seen > maxValues:
		r.errorf(n, "%s has more than %d levels, or the file more than %d values", name, maxDepth, maxValues)
	case n.Kind == yaml.MappingNode && kind == ParameterStore:
		r.errorf(n, "%s holds a mapping, but a parameter has no keys", name).Hint = "write a text"
	case n.Kind == yaml.ScalarNode && isExternal(tag) && strings.TrimSpace(n.Value) == "":
		r.errorf(n, "%s has no argument after %s", name, tag).Hint = "write !file PATH or !cmd COMMAND"
	case !strings.HasPrefix(tag, "!!") && !(isExternal(tag) && n.Kind == yaml.ScalarNode):
		r.errorf(n, "%s has the tag %s on %s", name, tag, describe(n)).Hint = "write !file PATH, !cmd COMMAND or no tag"
	default:
		return !slices.ContainsFunc(n.Content, func(child *yaml.Node) bool {
			return !r.value(name, kind, child, depth+1)
		})
	}
	return false
}

// warnComment warns about an unquoted value such as abc #def, of which YAML reads only
// abc. A comment after a value usually has a blank after the #.
func (r *fileReader) warnComment(name string, n *yaml.Node) {
	if n.Kind != yaml.ScalarNode || n.Style != 0 ||
		!strings.HasPrefix(n.LineComment, "#") || strings.HasPrefix(n.LineComment, "# ") {
		return
	}
	r.problems = append(r.problems, diag.Problem{
		Severity: diag.Warning, File: r.name, Line: n.Line, Column: n.Column,
		Message: name + " ends where a # begins a comment", Hint: "put the value in quotes if the # is part of it",
	})
}

// duplicates reports and records duplicate keys of a JSON secret, and merge keys, which
// hide duplicates.
func (r *fileReader) duplicates(name string, n *yaml.Node) bool {
	found, lines := false, map[string]int{}
	for key := range pairs(n) {
		switch before := lines[key.Value]; {
		case key.ShortTag() == "!!merge":
			r.errorf(key, "%s merges a mapping with <<", name).Hint = "write its keys out"
			found = true
		case before > 0:
			r.errorf(key, "the key %s of %s is written twice, first in line %d", key.Value, name, before)
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

// isExternal reports whether a value is read from a file or from the output of a command.
func isExternal(tag string) bool { return tag == fileTag || tag == commandTag }

// pairs iterates over the keys of a mapping and their values.
func pairs(n *yaml.Node) func(func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], resolve(n.Content[i+1])) {
				return
			}
		}
	}
}

// describe names the type of a node.
func describe(n *yaml.Node) string {
	switch resolve(n).Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a text"
}

// External returns a problem for each value that Lookup gets from the host: files that
// !file reads and commands that !cmd runs. A caller that does not trust the file refuses
// it with these problems.
func (f *File) External() diag.List {
	var all diag.List
	for _, e := range f.entries {
		all = append(all, f.external(e.node, 0)...)
	}
	return all
}

// external is External for one value and those inside it.
func (f *File) external(n *yaml.Node, depth int) diag.List {
	n = resolve(n)
	if tag := n.ShortTag(); isExternal(tag) {
		access := map[string]string{fileTag: "reads a file of", commandTag: "runs a command on"}[tag]
		return diag.List{{File: f.name, Line: n.Line, Column: n.Column, Message: tag + " " + access + " this host"}}
	}
	var all diag.List
	for _, child := range n.Content {
		if depth < maxDepth {
			all = append(all, f.external(child, depth+1)...)
		}
	}
	return all
}

// Where returns the place of a requested value, such as secrets.yml:4, and whether the
// file has it. It reads no other file and runs no command.
func (f *File) Where(request Request) (place string, found bool) {
	e, found := f.find(request)
	if !found {
		return "", false
	}
	return fmt.Sprintf("%s:%d", f.name, e.key.Line), true
}

// find returns the entry for a request: one with the same spelling, else one that
// identifies the same secret or parameter. An entry without a version is the current
// version, so a request for another version needs an entry of its own.
func (f *File) find(request Request) (entry, bool) {
	want := Reference{SecretID: request.Ref}
	if request.Kind == SecretsManager {
		var err error
		if want, err = ParseReference(request.Ref); err != nil {
			return entry{}, false
		}
	}
	same := map[Kind]func(a, b string) bool{
		ParameterStore: sameParameter,
		SecretsManager: sameSecret,
	}[request.Kind]
	equal := func(a, b string) bool { return a == b }
	for _, matches := range []func(a, b string) bool{equal, same} {
		// The entry of the key itself wins over the entry of the whole secret.
		for _, key := range slices.Compact([]string{want.JSONKey, ""}) {
			at := slices.IndexFunc(f.entries, func(e entry) bool {
				return e.kind == request.Kind && e.ref.JSONKey == key && e.ref.stage() == want.stage() &&
					e.ref.VersionID == want.VersionID && matches(e.ref.SecretID, want.SecretID)
			})
			if at >= 0 {
				e := f.entries[at]
				return e, !incomplete(e.node, strings.TrimPrefix(want.JSONKey, key))
			}
		}
	}
	return entry{}, false
}

// incomplete reports whether a value, or the value of one of its keys, still has an
// empty place to fill in.
func incomplete(n *yaml.Node, key string) bool {
	if child := childOf(n, key); child != nil {
		n = child
	}
	n = resolve(n)
	return n.ShortTag() == "!!null" ||
		slices.ContainsFunc(n.Content, func(child *yaml.Node) bool { return incomplete(child, "") })
}

// Lookup implements Store. It reads the files and runs the commands that the requested
// entries name.
func (f *File) Lookup(ctx context.Context, requests []Request) []Result {
	results := make([]Result, len(requests))
	for i, r := range requests {
		results[i] = f.lookup(ctx, r)
	}
	return results
}

func (f *File) lookup(ctx context.Context, request Request) Result {
	e, found := f.find(request)
	if !found {
		return Result{Err: fmt.Errorf("%s: %w", request.Ref, ErrMissing)}
	}
	result := Result{From: fmt.Sprintf("%s:%d", f.name, e.key.Line)}
	key, node := "", e.node
	if want, err := ParseReference(request.Ref); request.Kind == SecretsManager && err == nil && e.ref.JSONKey == "" {
		key = want.JSONKey
	}
	if child := childOf(e.node, key); child != nil { // files and commands of other keys are not needed
		key, node = "", child
	}
	text, err := f.text(ctx, e.kind, node)
	if err == nil && key != "" {
		result.Whole = NewValue(text)
		if text, err = Part(text, key, request.Ref); err != nil {
			result.Err = fmt.Errorf("%s: %w", result.From, err)
			return result
		}
	}
	if err != nil {
		result.Err = fmt.Errorf("%s, the value of %s: %w", result.From, e.key.Value, err)
		return result
	}
	result.Value = NewValue(text)
	return result
}

// childOf returns the value of a key of a mapping, or nil.
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
