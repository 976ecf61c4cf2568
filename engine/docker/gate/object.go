package gate

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// object is a JSON object of the API, of which we know a part.
type object map[string]any

// settle gives keys the spelling that is known: the engine takes them in any case. One
// that is there in two spellings is refused.
func (o object) settle(known ...string) error {
	for _, name := range known {
		found := ""
		for key := range o {
			if !strings.EqualFold(key, name) {
				continue
			}
			if found != "" {
				return &refusal{http.StatusBadRequest, "the request has " + name + " in two spellings"}
			}
			found = key
		}
		if found != "" && found != name {
			o[name] = o[found]
			delete(o, found)
		}
	}
	return nil
}

// in returns an object that is a value of this one; it is made where it is missing or no
// object.
func (o object) in(name string) object {
	inner, _ := o[name].(map[string]any)
	if inner == nil {
		inner = map[string]any{}
		o[name] = inner
	}
	return inner
}

// text returns a value that is text.
func (o object) text(name string) string {
	text, _ := o[name].(string)
	return text
}

// list returns a value that is a list; one text is a list of one, as the engine reads
// some.
func (o object) list(name string) []any {
	if text, one := o[name].(string); one && text != "" {
		return []any{text}
	}
	list, _ := o[name].([]any)
	return list
}

// empty reports whether a value is as if it were not said.
func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case json.Number:
		return v == "0"
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// bodyLimit is how long a request in JSON may be, in bytes.
const bodyLimit = 8 << 20

// change lets a request's body be changed. Keys in known have their right spelling then.
func change(r *http.Request, known []string, do func(object) error) error {
	text, err := io.ReadAll(io.LimitReader(r.Body, bodyLimit))
	if err != nil {
		return err
	}
	o := object{}
	if len(bytes.TrimSpace(text)) > 0 {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&o); err != nil {
			return &refusal{http.StatusBadRequest, "the request is no JSON object: " + err.Error()}
		}
	}
	if o == nil { // it was null
		o = object{}
	}
	if err := o.settle(known...); err != nil {
		return err
	}
	if err := do(o); err != nil {
		return err
	}
	if text, err = json.Marshal(o); err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Del("Content-Length")
	return nil
}
