package buildspec

import "strings"

// Kind is the type of a key's value.
type Kind int

// The kinds. A missing value (`files:` with nothing after it) is the empty value
// of its kind.
const (
	Text     Kind = iota // a scalar, with its spelling
	Bool                 // yes or no, true or false, on or off
	TextList             // a list of scalars; a single scalar is a list of one
	Commands             // a list of scripts; a single scalar is a list of one
	Section              // a mapping with the keys in Keys
	Map                  // a mapping with names that the author chooses; Elem describes the values
	List                 // a list of values that Elem describes
	Ignored              // any value: CodeBuild does not read it
)

// Key describes one key of a buildspec: the type of its value and its meaning. The
// parser, the JSON Schema, and the language server's completions and hovers all use
// the table of keys that Reference returns.
type Key struct {
	Name string
	Kind Kind
	Doc  string // one or more sentences for editors and the schema

	Keys []Key // of a Section
	Elem *Key  // of a Map or a List: describes each value

	Values      []string // of Text: the allowed values
	AnyValue    bool     // of Text: Values are suggestions, and other values are accepted
	Pattern     string   // of Text: a regular expression for values in addition to Values
	NamePattern string   // of a Map: a regular expression for the names
	Requires    string   // a key of the same section that this one requires if it is not empty

	Required     bool   // CodeBuild rejects a buildspec without the key
	BatchNeeds   bool   // CodeBuild rejects a batch build without the key
	Default      string // value if the key is not set
	Since02      bool   // version 0.2 only
	Only01       bool   // version 0.1 only; an unknown key in 0.2
	OnlyPhase    string // the only phase in which the key has an effect
	Removed      string // message that says why CodeBuild no longer reads the key
	Instead      string // hint for a removed key
	IgnoreCase   bool   // of a Section: the names of its keys are case-insensitive
	RejectsOther bool   // of a Section: an unknown key is an error rather than a warning
}

// Find returns the key of a section with the given name.
func (k *Key) Find(name string) (*Key, bool) {
	for i := range k.Keys {
		if k.Keys[i].Name == name || k.IgnoreCase && strings.EqualFold(k.Keys[i].Name, name) {
			return &k.Keys[i], true
		}
	}
	return nil, false
}

// names returns the names of a section's keys in a version, in the order of the
// reference. Removed keys are left out, because they are not worth a suggestion.
func (k *Key) names(version string) []string {
	var names []string
	for _, key := range k.Keys {
		if key.Removed == "" && (!key.Only01 || version == "0.1") {
			names = append(names, key.Name)
		}
	}
	return names
}

// At returns the key at a path, or the root for an empty path. The names in a Map and
// the indexes in a List lead to the key that describes their values.
func (k *Key) At(path []string) (*Key, bool) {
	for _, name := range path {
		switch k.Kind {
		case Section:
			next, found := k.Find(name)
			if !found {
				return nil, false
			}
			k = next
		case Map, List:
			k = k.Elem
		default:
			return nil, false
		}
	}
	return k, true
}
