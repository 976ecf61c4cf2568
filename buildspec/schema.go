package buildspec

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// SchemaVersion is the version of the schema. It counts up when a buildspec that
// was taken is refused, or the other way round.
const SchemaVersion = 1

// schema is a JSON Schema, as far as a buildspec needs it.
type schema map[string]any

// Schema returns a JSON Schema (draft 2020-12) of the buildspec, made from
// Reference. It takes what Parse reads without an error; what no schema can say
// it leaves out: builds that depend on each other, and expressions of on-failure.
// With strict it takes no keys that the service does not know.
func Schema(strict bool) []byte {
	s := schemer{strict: strict}
	root := s.section(reference)
	delete(root, "required") // a buildspec with a batch section needs neither version nor phases
	root["anyOf"] = []schema{
		{"required": []string{"version", "phases"}, "properties": schema{"phases": schema{"type": "object"}}},
		{"required": []string{"batch"}, "properties": schema{"phases": schema{"type": "null"}, "batch": schema{"type": "object"}}},
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
		panic(err) // maps of texts and numbers
	}
	return append(text, '\n')
}

// withoutOld refuses the keys that only version 0.1 knows; nil where a key and
// all below it are known to both.
func withoutOld(k *Key) schema {
	if k.Each != nil {
		if inner := withoutOld(k.Each); inner != nil {
			return schema{"additionalProperties": inner}
		}
		return nil
	}
	refused := schema{}
	for i := range k.Keys {
		key := &k.Keys[i]
		if inner := withoutOld(key); key.Old {
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

type schemer struct{ strict bool }

// scalars are what YAML makes of a text that is written without quotes.
var scalars = []string{"string", "number", "boolean", "null"}

// truths are the texts that say yes or no.
const truths = `^\s*([Yy]([Ee][Ss])?|[Nn][Oo]?|[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[Oo][Nn]|[Oo][Ff][Ff]|~|[Nn][Uu][Ll][Ll])?\s*$`

func (s schemer) of(k *Key) schema {
	out := s.kind(k)
	if k.Doc != "" {
		out["description"] = k.Doc
	}
	if k.Default != "" {
		out["default"] = k.Default
	}
	if k.Gone != "" || k.Old {
		out["deprecated"] = true
	}
	return out
}

func (s schemer) kind(k *Key) schema {
	switch k.Kind {
	case Truth:
		return schema{"anyOf": []schema{{"type": []string{"boolean", "null"}}, {"type": "string", "pattern": truths}}}
	case Texts:
		item := s.text(k)
		return schema{"anyOf": []schema{item, {"type": "array", "items": item}}}
	case Commands:
		command := schema{"type": []string{"string", "number", "boolean"}}
		return schema{"anyOf": []schema{command, {"type": "array", "items": command}, {"type": "null"}}}
	case Section:
		return s.section(k)
	case Names:
		names := schema{"type": []string{"object", "null"}, "additionalProperties": s.of(k.Each)}
		if k.Named != "" {
			names["propertyNames"] = schema{"pattern": k.Named}
		}
		return names
	case Items:
		return schema{"type": []string{"array", "null"}, "items": s.of(k.Each)}
	case Ignored:
		return schema{}
	}
	return s.text(k)
}

// text is a text with the values it may have.
func (s schemer) text(k *Key) schema {
	switch {
	case k.Pattern != "" && len(k.Values) == 0:
		return schema{"anyOf": []schema{{"type": "integer", "minimum": 1}, {"type": "string", "pattern": k.Pattern}}}
	case k.Required: // something has to be written
		return schema{"anyOf": []schema{{"enum": k.Values}, {"type": []string{"number", "boolean"}}, {"type": "string", "pattern": `\S`}}}
	case len(k.Values) == 0:
		return schema{"type": scalars}
	case k.Open: // values are told to editors, and others taken
		return schema{"anyOf": []schema{{"enum": k.Values}, {"type": scalars}}}
	}
	forms := []schema{{"enum": k.Values}, {"type": "null"}, {"type": "string", "pattern": anyCase(k.Values)}}
	if k.Pattern != "" {
		forms = append(forms, schema{"type": "string", "pattern": k.Pattern})
	}
	return schema{"anyOf": forms}
}

// anyCase is a pattern for some words in any case, and for nothing: patterns of
// JSON Schema know no flags.
func anyCase(words []string) string {
	var all []string
	for _, word := range words {
		all = append(all, fold(word))
	}
	return "^(" + strings.Join(all, "|") + ")?$"
}

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
		if k.Fold {
			folded["^"+fold(key.Name)+"$"] = s.kind(key)
		}
		if key.Required {
			required = append(required, key.Name)
		}
		if key.Beside != "" {
			out["anyOf"] = []schema{{"required": []string{key.Beside}}, {"properties": schema{key.Name: schema{"type": []string{"null", "array"}, "maxItems": 0}}}}
		}
	}
	out["properties"] = properties
	if len(folded) > 0 {
		out["patternProperties"] = folded
	}
	if len(required) > 0 {
		out["required"] = required
	}
	if k.Closed || s.strict {
		out["additionalProperties"] = false
	}
	return out
}
