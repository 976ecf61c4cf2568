package buildspec

import "strings"

// Kind is what may stand beside a key.
type Kind int

// The kinds. Nothing written beside a key is an empty value of its kind.
const (
	Text     Kind = iota // one text, as it is written
	Truth                // yes or no, true or false, on or off
	Texts                // a list of texts; one text alone is a list of one
	Commands             // a list of scripts; one alone is a list of one
	Section              // a mapping of Keys
	Names                // a mapping of names the author chooses, each an Each
	Items                // a list of Each
	Ignored              // anything: the service no longer reads it
)

// Key is one key of a buildspec: what may stand beside it and what it means.
// The reader, the JSON Schema, and what an editor shows while somebody types are
// all made from the same table of them, Reference.
type Key struct {
	Name string
	Kind Kind
	Doc  string // what it means, whole sentences

	Keys []Key // of a Section
	Each *Key  // of Names and Items

	Values  []string // of Text: what may be written
	Open    bool     // other values than Values may be written too
	Pattern string   // of Text: a form beside Values, for the schema
	Named   string   // of Names: the form of the names
	Beside  string   // the key that must stand beside this one, unless it is empty

	Required bool   // the service refuses a buildspec without it
	Wanted   bool   // a batch build is refused without it
	Default  string // what counts where nothing is written
	Newer    bool   // belongs to version 0.2 only
	Old      bool   // belongs to version 0.1 only; unknown in 0.2
	Only     string // the one phase in which it counts
	Gone     string // why the service no longer reads it
	Fold     bool   // of a Section: case of its keys does not count
	Closed   bool   // of a Section: another key is an error, not a warning
}

// Find returns the key of a section with a name.
func (k *Key) Find(name string) (*Key, bool) {
	for i := range k.Keys {
		if k.Keys[i].Name == name || k.Fold && strings.EqualFold(k.Keys[i].Name, name) {
			return &k.Keys[i], true
		}
	}
	return nil, false
}

// names returns the names of a section's keys that belong to a version, in the
// order of the reference.
func (k *Key) names(version string) []string {
	var names []string
	for _, key := range k.Keys {
		if key.Gone == "" && (!key.Old || version == "0.1") {
			names = append(names, key.Name)
		}
	}
	return names
}

// At returns the key at a path such as phases.build.commands[0], or the root for
// "". Names the author chose lead to the key that describes each of them.
func (k *Key) At(path []string) (*Key, bool) {
	for _, name := range path {
		switch k.Kind {
		case Section:
			next, found := k.Find(name)
			if !found {
				return nil, false
			}
			k = next
		case Names, Items:
			k = k.Each
		default:
			return nil, false
		}
	}
	return k, true
}
