package buildspec

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// SchemaVersion is the version of the schema and part of its $id. It is incremented
// when the schema rejects a buildspec that it accepted before, or the reverse.
const SchemaVersion = 1

// schema is a JSON Schema document or a part of one.
type schema map[string]any

// Schema returns a JSON Schema (draft 2020-12) for buildspecs, derived from Reference.
// It accepts the documents that Parse reads without an error, except for rules that a
// schema cannot express: dependencies between builds of a batch, and the syntax of
// regular expressions in on-failure. If strict is set, the schema also rejects keys
// that CodeBuild does not know.
func Schema(strict bool) []byte {
	s := schemer{strict: strict}
	root := s.section(reference)
	// A buildspec with a batch section needs neither version nor phases (observed).
	delete(root, "required")
	root["anyOf"] = []schema{
		{"required": []string{"version", "phases"}, "properties": schema{"phases": schema{"type": "object"}}},
		{"required": []string{"batch"}, "properties": schema{"phases": schema{"type": "null"},
			"batch": schema{"type": "object"}}},
	}
	if strict {
		first := schema{"properties": schema{"version": schema{"enum": []any{"0.1", 0.1}}}, "required": []string{"version"}}
		root["allOf"] = []schema{{"anyOf": []schema{first, withoutOld(reference)}}}
	}
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = fmt.Sprintf("https://github.com/buildlocal/buildlocal/schema/buildspec-%d.json", SchemaVersion)
	root["title"] = "AWS CodeBuild buildspec"
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err) // cannot happen: the schema has only maps, strings and numbers
	}
	return append(text, '\n')
}

// withoutOld returns a schema that rejects the keys of version 0.1, or nil if k has
// none.
func withoutOld(k *Key) schema {
	if k.Elem != nil {
		if inner := withoutOld(k.Elem); inner != nil {
			return schema{"additionalProperties": inner}
		}
		return nil
	}
	refused := schema{}
	for i := range k.Keys {
		key := &k.Keys[i]
		if inner := withoutOld(key); key.Only01 {
			refused[key.Name] = false
		} else if inner != nil {
			refused[key.Name] = inner
		}
	}
	if len(refused) == 0 {
		return nil
	}
	return schema{"properties": refused}
}

// schemer builds a schema from keys.
type schemer struct{ strict bool }

// scalars are the JSON types of an unquoted YAML scalar. A text such as 3.10 or yes
// arrives in a schema validator as a number or a boolean.
var scalars = []string{"string", "number", "boolean", "null"}

// truths matches the strings that Parse reads as a Bool.
const truths = `^\s*([Yy]([Ee][Ss])?|[Nn][Oo]?|[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|` +
	`[Oo][Nn]|[Oo][Ff][Ff]|~|[Nn][Uu][Ll][Ll])?\s*$`

// of returns the schema of a key's value with its description.
func (s schemer) of(k *Key) schema {
	out := s.kind(k)
	if k.Doc != "" {
		out["description"] = k.Doc
	}
	if k.Default != "" {
		out["default"] = k.Default
	}
	if k.Removed != "" || k.Only01 {
		out["deprecated"] = true
	}
	return out
}

// kind returns the schema of a key's value without the description.
func (s schemer) kind(k *Key) schema {
	switch k.Kind {
	case Bool:
		return schema{"anyOf": []schema{{"type": []string{"boolean", "null"}}, {"type": "string", "pattern": truths}}}
	case TextList:
		item := s.text(k)
		return schema{"anyOf": []schema{item, {"type": "array", "items": item}}}
	case Commands:
		command := schema{"type": []string{"string", "number", "boolean"}}
		return schema{"anyOf": []schema{command, {"type": "array", "items": command}, {"type": "null"}}}
	case Section:
		return s.section(k)
	case Map:
		names := schema{"type": []string{"object", "null"}, "additionalProperties": s.of(k.Elem)}
		if k.NamePattern != "" {
			names["propertyNames"] = schema{"pattern": k.NamePattern}
		}
		return names
	case List:
		return schema{"type": []string{"array", "null"}, "items": s.of(k.Elem)}
	case Ignored:
		return schema{}
	}
	return s.text(k)
}

// text returns the schema of a Text.
func (s schemer) text(k *Key) schema {
	switch {
	case k.Pattern != "" && len(k.Values) == 0:
		return schema{"anyOf": []schema{{"type": "integer", "minimum": 1}, {"type": "string", "pattern": k.Pattern}}}
	case k.Required: // an empty value counts as missing
		return schema{"anyOf": []schema{{"enum": k.Values}, {"type": []string{"number", "boolean"}},
			{"type": "string", "pattern": `\S`}}}
	case len(k.Values) == 0:
		return schema{"type": scalars}
	case k.AnyValue: // the enum is for completion only
		return schema{"anyOf": []schema{{"enum": k.Values}, {"type": scalars}}}
	}
	forms := []schema{{"enum": k.Values}, {"type": "null"}, {"type": "string", "pattern": anyCase(k.Values)}}
	if k.Pattern != "" {
		forms = append(forms, schema{"type": "string", "pattern": k.Pattern})
	}
	return schema{"anyOf": forms}
}

// anyCase returns a pattern that matches words case-insensitively, and the empty
// string. Patterns of JSON Schema have no flags.
func anyCase(words []string) string {
	var all []string
	for _, word := range words {
		all = append(all, fold(word))
	}
	return "^(" + strings.Join(all, "|") + ")?$"
}

// fold returns a pattern that matches a word case-insensitively.
func fold(word string) string {
	var b strings.Builder
	for _, r := range word {
		upper, lower := strings.ToUpper(string(r)), strings.ToLower(string(r))
		if upper == lower {
			b.WriteString(regexp.QuoteMeta(string(r)))
			continue
		}
		b.WriteString("[" + upper + lower + "]")
	}
	return b.String()
}

// section returns the schema of a mapping with known keys.
func (s schemer) section(k *Key) schema {
	out := schema{"type": []string{"object", "null"}}
	if k == reference {
		out["type"] = "object"
	}
	properties, folded := schema{}, schema{}
	var required []string
	for i := range k.Keys {
		key := &k.Keys[i]
		properties[key.Name] = s.of(key)
		if k.IgnoreCase {
			folded["^"+fold(key.Name)+"$"] = s.kind(key)
		}
		if key.Required {
			required = append(required, key.Name)
		}
		if key.Requires != "" {
			empty := schema{"properties": schema{key.Name: schema{"type": []string{"null", "array"}, "maxItems": 0}}}
			out["anyOf"] = []schema{{"required": []string{key.Requires}}, empty}
		}
	}
	out["properties"] = properties
	if len(folded) > 0 {
		out["patternProperties"] = folded
	}
	if len(required) > 0 {
		out["required"] = required
	}
	if k.RejectsOther || s.strict {
		out["additionalProperties"] = false
	}
	return out
}
