package buildspec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// value is the value of a key, converted to the kind that the key declares. Fields of
// other kinds have their zero value, as have those of a value with a wrong type.
type value struct {
	key    *yaml.Node // nil for an item of a list
	node   *yaml.Node // the value, with aliases resolved
	path   string     // key path, set for list items only
	text   string     // of Text
	truth  bool       // of Bool
	items  []value    // of TextList, Commands and List
	fields []field    // of Section and Map, in file order
}

// field is one key of a mapping with its value.
type field struct {
	name string
	value
}

// get returns the value of a section's key, and whether the key is present.
func (v value) get(name string) (value, bool) {
	for _, f := range v.fields {
		if f.name == name {
			return f.value, true
		}
	}
	return value{}, false
}

// The following methods return the zero value if the key is not present.
func (v value) textOf(name string) string      { f, _ := v.get(name); return f.text }
func (v value) truthOf(name string) bool       { f, _ := v.get(name); return f.truth }
func (v value) textsOf(name string) []string   { f, _ := v.get(name); return f.texts() }
func (v value) fieldsOf(name string) []field   { f, _ := v.get(name); return f.fields }
func (v value) line() int                      { return v.node.Line }
func (v value) itemsOf(name string) []value    { f, _ := v.get(name); return f.items }
func (v value) has(name string) (written bool) { _, written = v.get(name); return written }

// texts returns the items of a TextList.
func (v value) texts() []string {
	var all []string
	for _, item := range v.items {
		all = append(all, item.text)
	}
	return all
}

// where is the position of a value in the hierarchy of keys, for messages.
type where struct {
	path    string // such as phases.build.commands[2]
	section string // CodeBuild's name of the enclosing section
}

func (w where) down(name string) where { return where{join(w.path, name), w.section} }
func (w where) item(i int) where       { return where{fmt.Sprintf("%s[%d]", w.path, i), w.section} }

// read converts a node to the kind that def declares. It reports everything that does
// not match and goes on, so that one mistake does not hide the others.
func (p *parser) read(def *Key, node *yaml.Node, at where) value {
	node = resolve(node)
	v := value{node: node}
	if !p.withinLimit(1, node) {
		return v
	}
	switch def.Kind {
	case Text:
		v.text = p.text(def, node, at)
	case Bool:
		v.truth = p.truth(node, at)
	case TextList, Commands, List:
		v.items = p.items(def, node, at)
	case Section:
		v.fields = p.section(def, node, at)
	case Map:
		v.fields = p.names(def, node, at)
	}
	return v
}

// withinLimit counts n values and reports whether the document is still within maxValues.
// The YAML parser keeps aliases as references, so a short document can expand to
// billions of values. They are counted whenever they are read.
func (p *parser) withinLimit(n int, node *yaml.Node) bool {
	before := p.left
	p.left -= n
	if before > 0 && p.left <= 0 {
		p.fail(TooLarge, node, "", "the buildspec has more than %d values after its aliases are expanded", maxValues)
	}
	return p.left > 0
}

// text reads a scalar. Null is the empty text, as in `key:` without a value.
func (p *parser) text(def *Key, node *yaml.Node, at where) string {
	switch {
	case node.Kind != yaml.ScalarNode:
		p.fail(WrongType, node, at.path, "%s must be a string, not %s", at.path, kindOf(node))
		return ""
	case isNull(node):
		return ""
	}
	p.checkValue(def, node, at)
	return node.Value
}

// checkValue reports a text that its key does not accept. Values are case-insensitive.
func (p *parser) checkValue(def *Key, node *yaml.Node, at where) {
	if form := def.Pattern; form != "" && len(def.Values) == 0 {
		if ok, _ := regexp.MatchString(form, node.Value); !ok {
			p.fail(BadValue, node, at.path, "%s must be a number of at least 1, not %q", at.path, short(node.Value))
		}
	}
	known := func(value string) bool { return strings.EqualFold(value, node.Value) }
	switch {
	case def.AnyValue, len(def.Values) == 0, def.Pattern != "", node.Value == "", slices.ContainsFunc(def.Values, known):
		return
	}
	name, message := BadValue, fmt.Sprintf("%s: invalid value %q", at.path, short(node.Value))
	if def.Name == "file-format" {
		name, message = UnknownReportFormat, fmt.Sprintf("unknown report format %q", short(node.Value))
	}
	p.fail(name, node, at.path, "%s", message).Hint = diag.Choice(node.Value, def.Values)
}

// truth reads yes/no, true/false, on/off and y/n, case-insensitively. An empty value
// is no.
func (p *parser) truth(node *yaml.Node, at where) bool {
	if node.Kind != yaml.ScalarNode {
		p.fail(WrongType, node, at.path, "%s must be yes or no, not %s", at.path, kindOf(node))
		return false
	}
	switch strings.ToLower(strings.TrimSpace(node.Value)) {
	case "yes", "true", "on", "y":
		return true
	case "no", "false", "off", "n", "", "null", "~":
		return false
	}
	p.fail(BadValue, node, at.path, "%s must be yes or no, not %q", at.path, short(node.Value))
	return false
}

// items reads a list. A single scalar is a list of one, and an empty value is an empty
// list. The items of a List, which are mappings, must be in a list.
func (p *parser) items(def *Key, node *yaml.Node, at where) []value {
	if isNull(node) {
		return nil
	}
	content := []*yaml.Node{node}
	switch {
	case node.Kind == yaml.SequenceNode:
		content = node.Content
	case def.Kind == List:
		p.fail(WrongType, node, at.path, "%s must be a list, not %s", at.path, kindOf(node))
		return nil
	}
	var all []value
	for i, item := range content {
		item = resolve(item)
		if !p.withinLimit(1, item) {
			return all
		}
		if v, ok := p.item(def, item, at.item(i)); ok {
			v.path = at.item(i).path
			p.spec.places[v.path] = placeOf(nil, item)
			all = append(all, v)
		}
	}
	return all
}

// item reads one item of a list. It returns false if the item is to be left out.
func (p *parser) item(def *Key, node *yaml.Node, at where) (value, bool) {
	switch {
	case def.Kind == List:
		return p.read(def.Elem, node, at), true
	case def.Kind == Commands:
		return value{node: node, text: node.Value}, p.isCommand(node, at)
	case isNull(node):
		list, _, _ := strings.Cut(at.path, "[")
		p.warn(EmptyItem, node, at.path, "an item of %s is empty and is ignored", list)
		return value{}, false
	case node.Kind != yaml.ScalarNode:
		p.fail(WrongType, node, at.path, "%s must be a string, not %s", at.path, kindOf(node))
		return value{}, false
	}
	return value{node: node, text: node.Value}, true
}

// section reads a mapping with the keys of def.
func (p *parser) section(def *Key, node *yaml.Node, at where) []field {
	all := p.entries(def, node, at)
	p.versionFirst(def, all)
	var fields []field
	for _, e := range all {
		key, known := def.Find(e.name)
		if !known || key.Only01 && p.spec.Version != "0.1" {
			p.unknown(def, e, all, at)
			p.readSuggested(def, e, at)
			continue
		}
		below := at.down(e.name)
		switch {
		case def == reference:
			below.section = e.name
		case def.RejectsOther:
			below.section = strings.ToUpper(e.name)
		}
		p.checkKey(def, key, e, below)
		v := p.read(key, e.value, below)
		v.key = e.key
		fields = append(fields, field{key.Name, v})
	}
	p.missing(def, node, fields, at)
	return fields
}

// readSuggested also checks the contents of a phase whose name is misspelled, so that its
// problems do not appear only after the name is fixed.
func (p *parser) readSuggested(def *Key, e entry, at where) {
	meant, known := def.Find(diag.Suggest(e.name, def.names(p.spec.Version)))
	if def.RejectsOther && known {
		p.read(meant, e.value, where{join(at.path, e.name), strings.ToUpper(meant.Name)})
	}
}

// missing reports keys that are required and absent. The keys of the whole document
// have messages of their own; see required.
func (p *parser) missing(def *Key, node *yaml.Node, fields []field, at where) {
	for i := range def.Keys {
		key := &def.Keys[i]
		written := slices.ContainsFunc(fields, func(f field) bool { return f.name == key.Name && !isNull(f.node) })
		if written || !key.Required && !key.BatchNeeds || def == reference {
			continue
		}
		severity := diag.Error
		if key.BatchNeeds {
			severity = diag.Warning
		}
		p.note(severity, MissingKey, node, at.path, fmt.Sprintf("%s has no %s", at.path, key.Name)).
			Hint = "add " + key.Name + ":"
	}
}

// versionFirst reads the version before the other keys, because it decides which keys
// are known. The version may be anywhere in the file.
func (p *parser) versionFirst(def *Key, all []entry) {
	if def != reference {
		return
	}
	for _, e := range all {
		if e.name == "version" && e.value.Kind == yaml.ScalarNode {
			p.spec.Version = strings.TrimSpace(e.value.Value)
		}
	}
}

// checkKey records the position of a key and reports problems that do not depend on its
// value.
func (p *parser) checkKey(def, key *Key, e entry, at where) {
	p.spec.places[at.path] = placeOf(e.key, e.value)
	switch {
	case key.Removed != "":
		p.warn(RemovedKey, e.key, at.path, "%s", key.Removed).Hint = key.Instead
	case key.Since02 && p.spec.Version == "0.1":
		p.warn(NewerKey, e.key, at.path, "%s requires version 0.2 and may be ignored in 0.1", key.Name).
			Hint = "set version: 0.2"
	}
}

// names reads a mapping with names that the author chooses.
func (p *parser) names(def *Key, node *yaml.Node, at where) []field {
	var fields []field
	for _, e := range p.entries(def, node, at) {
		below := at.down(e.name)
		if def.Elem.Kind == Section && def.Name == "secondary-artifacts" {
			below.section = e.name
		}
		p.spec.places[below.path] = placeOf(e.key, e.value)
		v := p.read(def.Elem, e.value, below)
		if def.Elem.Kind == Text && isNull(v.node) {
			v.text = v.node.Value // a variable may have the value null or ~
		}
		v.key = e.key
		fields = append(fields, field{e.name, v})
	}
	return fields
}

// entry is one key of a mapping with its value. Aliases are resolved.
type entry struct {
	name   string
	key    *yaml.Node
	value  *yaml.Node
	merged bool // comes from a merge key (<<)
}

// entries returns the keys of a mapping in file order, including those of merge keys
// (<<). The last of several duplicate keys wins. An empty value is an empty mapping.
func (p *parser) entries(def *Key, node *yaml.Node, at where) []entry {
	if isNull(node) {
		return nil
	}
	if node.Kind != yaml.MappingNode {
		p.fail(WrongType, node, at.path, "%s must be a mapping, not %s", at.path, kindOf(node))
		return nil
	}
	m := mapping{p: p, def: def, at: at, index: map[string]int{}}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := resolve(node.Content[i]), resolve(node.Content[i+1])
		switch {
		case !p.withinLimit(1, key):
			return m.all
		case key.ShortTag() == "!!merge":
			m.merge(value, key)
		case key.Kind != yaml.ScalarNode:
			p.fail(WrongType, key, at.path, "a key must be a name, not %s", kindOf(key))
		default:
			m.set(entry{name: key.Value, key: key, value: value})
		}
	}
	return m.all
}

// mapping collects the entries of one mapping.
type mapping struct {
	p     *parser
	def   *Key
	at    where
	all   []entry
	index map[string]int // position in all, by id
}

// id returns the form of a name by which duplicates are recognized.
func (m *mapping) id(name string) string {
	if m.def.IgnoreCase {
		return strings.ToLower(name)
	}
	return name
}

// set adds an entry or replaces the one with the same name. An explicit key replaces a
// merged one without a warning, which is the purpose of merge keys.
func (m *mapping) set(e entry) {
	at, again := m.index[m.id(e.name)]
	if !again {
		m.index[m.id(e.name)] = len(m.all)
		m.all = append(m.all, e)
		return
	}
	if !m.all[at].merged {
		m.p.warn(DuplicateKey, e.key, join(m.at.path, e.name),
			"duplicate key %s, first in line %d; the last one wins", e.name, m.all[at].key.Line)
	}
	m.all[at] = e
}

// merge adds the keys of the merged mappings, except those that are already present.
func (m *mapping) merge(value, key *yaml.Node) {
	from := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		from = value.Content
	}
	for _, node := range from {
		node = resolve(node)
		if node.Kind != yaml.MappingNode {
			m.p.fail(WrongType, key, m.at.path, "<< must be an alias of a mapping, not %s", kindOf(node))
			return
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := resolve(node.Content[i])
			if !m.p.withinLimit(1, key) {
				return
			}
			if key.ShortTag() == "!!merge" {
				m.merge(resolve(node.Content[i+1]), key)
				continue
			}
			if _, there := m.index[m.id(key.Value)]; !there {
				m.set(entry{name: key.Value, key: key, value: resolve(node.Content[i+1]), merged: true})
			}
		}
	}
}
