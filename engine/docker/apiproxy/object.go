package apiproxy

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// object is a JSON object of the API. Generic maps, rather than the engine's types, keep fields
// apart that an unknown version of the API may have: a struct would drop or rename them silently.
type object map[string]any

// field describes how a field of a request is handled.
type field struct {
	check func(g *Proxy, value any) error // nil if any value is allowed
	drop  bool                            // not sent to the engine
}

// fields are the fields that an object may have. All others are refused.
type fields map[string]field

// admit checks the fields of an object and rewrites their keys to the spelling of the list,
// because the engine matches them case-insensitively. A field that is given in two
// spellings is refused, as is one that is not in the list unless its value is empty.
func (g *Proxy) admit(o object, what string, known fields) error {
	admitted := object{}
	for _, key := range slices.Sorted(maps.Keys(o)) {
		// Sorted keys make the outcome, and so the message, the same for each attempt.
		name, f, found := known.find(key)
		switch _, twice := admitted[name]; {
		// Clients of newer versions send their new fields with zero values. Refusing them would break
		// every new client for no gain.
		case f.drop, !found && empty(o[key]):
			continue
		case !found:
			return refuse("the setting %s of %s is not available with --docker socket", key, what)
		case twice:
			return badRequest("the request has %s in two spellings", name)
		}
		if f.check != nil {
			if err := f.check(g, o[key]); err != nil {
				return err
			}
		}
		admitted[name] = o[key]
	}
	clear(o)
	maps.Copy(o, admitted)
	return nil
}

// find looks a field up, in the exact spelling first.
func (f fields) find(key string) (name string, found field, ok bool) {
	if found, ok := f[key]; ok {
		return key, found, true
	}
	for name, found := range f {
		if strings.EqualFold(name, key) {
			return name, found, true
		}
	}
	return key, field{}, false
}

// fieldList returns fields that may have any value.
func fieldList(names ...string) fields {
	all := fields{}
	for _, name := range names {
		all[name] = field{}
	}
	return all
}

// with adds fields with a check to a list.
func (f fields) with(check func(*Proxy, any) error, names ...string) fields {
	for _, name := range names {
		f[name] = field{check: check}
	}
	return f
}

// without adds fields that are not sent to the engine.
func (f fields) without(names ...string) fields {
	for _, name := range names {
		f[name] = field{drop: true}
	}
	return f
}

// child returns an object that is the value of a key. If it is missing or not an object, it
// is created.
func (o object) child(name string) object {
	inner, _ := o[name].(map[string]any)
	if inner == nil {
		inner = map[string]any{}
		o[name] = inner
	}
	return inner
}

// text returns a string value.
func (o object) text(name string) string {
	text, _ := o[name].(string)
	return text
}

// list returns a value that is a list of strings. As in some fields of the engine, a string
// is a list with one element.
func (o object) list(name string) ([]string, error) {
	if text, one := o[name].(string); one && text != "" {
		return []string{text}, nil
	}
	values, _ := o[name].([]any)
	var list []string
	for _, value := range values {
		text, ok := value.(string)
		if !ok {
			return nil, badRequest("%s must be a list of strings", name)
		}
		list = append(list, text)
	}
	return list, nil
}

// empty reports whether a value means the same as a missing one.
func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	// Other spellings of zero are not worth the code: they are refused like any number.
	case json.Number:
		return v == "0"
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// oneOf returns a check of a string. The empty one is always allowed.
func oneOf(what string, allowed ...string) func(*Proxy, any) error {
	return func(_ *Proxy, value any) error {
		text, isText := value.(string)
		if value == nil || isText && (text == "" || slices.Contains(allowed, text)) {
			return nil
		}
		return refuse("%s %s is not available with --docker socket; use %s",
			what, shown(value), strings.Join(allowed, ", "))
	}
}

// keysOf returns a check of the keys of a map.
func keysOf(what string, allowed func(key string) bool) func(*Proxy, any) error {
	return func(_ *Proxy, value any) error {
		if empty(value) {
			return nil
		}
		all, isMap := value.(map[string]any)
		if !isMap {
			return badRequest("%s must be an object", what)
		}
		for _, key := range slices.Sorted(maps.Keys(all)) {
			if !allowed(key) {
				return refuse("%s %s is not available with --docker socket", what, key)
			}
		}
		return nil
	}
}

// shown returns a value as JSON, for messages.
func shown(value any) string {
	text, _ := json.Marshal(value)
	return string(text)
}
