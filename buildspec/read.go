package buildspec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// value is what stands beside a key, and is of the kind the key wants.
type value struct {
	key    *yaml.Node // nil for an item of a list
	node   *yaml.Node
	path   string  // of an item
	text   string  // of Text
	truth  bool    // of Truth
	items  []value // of Texts, Commands and Items
	fields []field // of Section and Names, in the order of the file
}

// field is one key of a mapping with its value.
type field struct {
	name string
	value
}

// get returns the value of a section's key, and whether it is written.
func (v value) get(name string) (value, bool) {
	for _, f := range v.fields {
		if f.name == name {
			return f.value, true
		}
	}
	return value{}, false
}

func (v value) textOf(name string) string      { f, _ := v.get(name); return f.text }
func (v value) truthOf(name string) bool       { f, _ := v.get(name); return f.truth }
func (v value) textsOf(name string) []string   { f, _ := v.get(name); return f.texts() }
func (v value) fieldsOf(name string) []field   { f, _ := v.get(name); return f.fields }
func (v value) line() int                      { return v.node.Line }
func (v value) itemsOf(name string) []value    { f, _ := v.get(name); return f.items }
func (v value) has(name string) (written bool) { _, written = v.get(name); return written }

func (v value) texts() []string {
	var all []string
	for _, item := range v.items {
		all = append(all, item.text)
	}
	return all
}

// where is where a value stands, for messages.
type where struct {
	path    string // such as phases.build.commands[2]
	section string // what the service calls the section around it
}

func (w where) down(name string) where { return where{join(w.path, name), w.section} }
func (w where) item(i int) where       { return where{fmt.Sprintf("%s[%d]", w.path, i), w.section} }

// read returns what stands at node, as def wants it. Everything else is noted.
func (p *parser) read(def *Key, node *yaml.Node, at where) value {
	node = resolve(node)
	v := value{node: node}
	if !p.afford(1, node) {
		return v
	}
	switch def.Kind {
	case Text:
		v.text = p.text(def, node, at)
	case Truth:
		v.truth = p.truth(node, at)
	case Texts, Commands, Items:
		v.items = p.items(def, node, at)
	case Section:
		v.fields = p.section(def, node, at)
	case Names:
		v.fields = p.names(def, node, at)
	}
	return v
}

// afford takes n values off what a document may stand for.
func (p *parser) afford(n int, node *yaml.Node) bool {
	before := p.left
	p.left -= n
	if before > 0 && p.left <= 0 {
		p.fail(TooLarge, node, "", "the buildspec has more than %d values, its aliases written out; expected fewer", valueLimit)
	}
	return p.left > 0
}

func (p *parser) text(def *Key, node *yaml.Node, at where) string {
	switch {
	case node.Kind != yaml.ScalarNode:
		p.fail(WrongType, node, at.path, "%s is %s; expected text", at.path, kindOf(node))
		return ""
	case isNull(node):
		return ""
	}
	p.checkValue(def, node, at)
	return node.Value
}

// checkValue tells a text that is none of those a key takes.
func (p *parser) checkValue(def *Key, node *yaml.Node, at where) {
	if form := def.Pattern; form != "" && len(def.Values) == 0 {
		if ok, _ := regexp.MatchString(form, node.Value); !ok {
			p.fail(BadValue, node, at.path, "%s is %q; expected a number, 1 or more", at.path, short(node.Value))
		}
	}
	if def.Open || len(def.Values) == 0 || def.Pattern != "" ||
		slices.ContainsFunc(def.Values, func(known string) bool { return strings.EqualFold(known, node.Value) }) || node.Value == "" {
		return
	}
	name, message := BadValue, fmt.Sprintf("%s is %q", at.path, short(node.Value))
	if def.Name == "file-format" {
		name, message = UnknownReportFormat, fmt.Sprintf("unknown report format %q", short(node.Value))
	}
	p.fail(name, node, at.path, "%s%s (expected %s)", message, diag.DidYouMean(node.Value, def.Values), strings.Join(def.Values, ", "))
}

// truth reads yes/no, true/false and on/off in any case; nothing is no.
func (p *parser) truth(node *yaml.Node, at where) bool {
	if node.Kind != yaml.ScalarNode {
		p.fail(WrongType, node, at.path, "%s is %s; expected yes or no", at.path, kindOf(node))
		return false
	}
	switch strings.ToLower(strings.TrimSpace(node.Value)) {
	case "yes", "true", "on", "y":
		return true
	case "no", "false", "off", "n", "", "null", "~":
		return false
	}
	p.fail(BadValue, node, at.path, "%s is %q; expected yes or no", at.path, short(node.Value))
	return false
}

// items reads a list; one value alone is a list of one, nothing an empty one.
func (p *parser) items(def *Key, node *yaml.Node, at where) []value {
	if isNull(node) {
		return nil
	}
	content := []*yaml.Node{node}
	switch {
	case node.Kind == yaml.SequenceNode:
		content = node.Content
	case def.Kind == Items:
		p.fail(WrongType, node, at.path, "%s is %s; expected a list", at.path, kindOf(node))
		return nil
	}
	var all []value
	for i, item := range content {
		item = resolve(item)
		if !p.afford(1, item) {
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

func (p *parser) item(def *Key, node *yaml.Node, at where) (value, bool) {
	switch {
	case def.Kind == Items:
		return p.read(def.Each, node, at), true
	case def.Kind == Commands:
		return value{node: node, text: node.Value}, p.isCommand(node, at)
	case isNull(node):
		list, _, _ := strings.Cut(at.path, "[")
		p.warn(EmptyItem, node, at.path, "an item of %s is empty and left out", list)
		return value{}, false
	case node.Kind != yaml.ScalarNode:
		p.fail(WrongType, node, at.path, "%s is %s; expected text", at.path, kindOf(node))
		return value{}, false
	}
	return value{node: node, text: node.Value}, true
}

// section reads a mapping whose keys the reference knows.
func (p *parser) section(def *Key, node *yaml.Node, at where) []field {
	all := p.entries(def, node, at)
	p.versionFirst(def, all)
	var fields []field
	for _, e := range all {
		key, known := def.Find(e.name)
		if !known || key.Old && p.spec.Version != "0.1" {
			p.unknown(def, e, all, at)
			p.readMeant(def, e, at)
			continue
		}
		below := at.down(e.name)
		switch {
		case def == reference:
			below.section = e.name
		case def.Closed:
			below.section = strings.ToUpper(e.name)
		}
		p.keyed(def, key, e, below)
		v := p.read(key, e.value, below)
		v.key = e.key
		fields = append(fields, field{key.Name, v})
	}
	p.missing(def, node, fields, at)
	return fields
}

// readMeant notes what is wrong in a phase whose name is a slip, as well.
func (p *parser) readMeant(def *Key, e entry, at where) {
	meant, known := def.Find(diag.Suggest(e.name, def.names(p.spec.Version)))
	if def.Closed && known {
		p.read(meant, e.value, where{join(at.path, e.name), strings.ToUpper(meant.Name)})
	}
}

// missing notes the keys a section cannot do without. Those of the whole
// document have their own messages.
func (p *parser) missing(def *Key, node *yaml.Node, fields []field, at where) {
	for i := range def.Keys {
		key := &def.Keys[i]
		written := slices.ContainsFunc(fields, func(f field) bool { return f.name == key.Name && !isNull(f.node) })
		if written || !key.Required && !key.Wanted || def == reference {
			continue
		}
		severity := diag.Error
		if key.Wanted {
			severity = diag.Warning
		}
		p.note(severity, MissingKey, node, at.path, fmt.Sprintf("%s has no %s; expected %s: beside the other keys", at.path, key.Name, key.Name))
	}
}

// versionFirst finds the version wherever it stands: it says which keys count.
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

// keyed notes what is to be said of a key whatever its value.
func (p *parser) keyed(def, key *Key, e entry, at where) {
	p.spec.places[at.path] = placeOf(e.key, e.value)
	switch {
	case key.Gone != "":
		p.warn(RemovedKey, e.key, at.path, "%s", key.Gone)
	case key.Newer && p.spec.Version == "0.1":
		p.warn(NewerKey, e.key, at.path, "%s belongs to version 0.2 and may count for nothing in 0.1; write version: 0.2", key.Name)
	}
}

// names reads a mapping whose names the author chose.
func (p *parser) names(def *Key, node *yaml.Node, at where) []field {
	var fields []field
	for _, e := range p.entries(def, node, at) {
		below := at.down(e.name)
		if def.Each.Kind == Section && def.Name == "secondary-artifacts" {
			below.section = e.name
		}
		p.spec.places[below.path] = placeOf(e.key, e.value)
		v := p.read(def.Each, e.value, below)
		if def.Each.Kind == Text && isNull(v.node) {
			v.text = v.node.Value // null and ~ are texts like any other
		}
		v.key = e.key
		fields = append(fields, field{e.name, v})
	}
	return fields
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
func (p *parser) entries(def *Key, node *yaml.Node, at where) []entry {
	if isNull(node) {
		return nil
	}
	if node.Kind != yaml.MappingNode {
		p.fail(WrongType, node, at.path, "%s is %s; expected a mapping", at.path, kindOf(node))
		return nil
	}
	m := mapping{p: p, def: def, at: at, index: map[string]int{}}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := resolve(node.Content[i]), resolve(node.Content[i+1])
		switch {
		case !p.afford(1, key):
			return m.all
		case key.ShortTag() == "!!merge":
			m.merge(value, key)
		case key.Kind != yaml.ScalarNode:
			p.fail(WrongType, key, at.path, "a key is %s; expected a name", kindOf(key))
		default:
			m.set(entry{name: key.Value, key: key, value: value})
		}
	}
	return m.all
}

// mapping collects the entries of a mapping.
type mapping struct {
	p     *parser
	def   *Key
	at    where
	all   []entry
	index map[string]int
}

// id is what tells two keys apart.
func (m *mapping) id(name string) string {
	if m.def.Fold {
		return strings.ToLower(name)
	}
	return name
}

func (m *mapping) set(e entry) {
	at, again := m.index[m.id(e.name)]
	if !again {
		m.index[m.id(e.name)] = len(m.all)
		m.all = append(m.all, e)
		return
	}
	if !m.all[at].merged {
		m.p.warn(DuplicateKey, e.key, join(m.at.path, e.name), "%s is written twice, first in line %d; the last one counts", e.name, m.all[at].key.Line)
	}
	m.all[at] = e
}

// merge adds the keys of merged mappings that are not there yet.
func (m *mapping) merge(value, key *yaml.Node) {
	from := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		from = value.Content
	}
	for _, node := range from {
		node = resolve(node)
		if node.Kind != yaml.MappingNode {
			m.p.fail(WrongType, key, m.at.path, "<< is %s; expected an alias of a mapping", kindOf(node))
			return
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := resolve(node.Content[i])
			if !m.p.afford(1, key) {
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
