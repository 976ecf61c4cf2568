package secrets

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Part returns the value of a JSON key of a secret: a text as it is, anything
// else as the JSON that stands there. The error wraps ErrRefused; what the service
// says in its place is not known.
func Part(secret, key, ref string) (string, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(secret), &all); err != nil || all == nil {
		return "", fmt.Errorf("the secret of %s is no JSON object, and the key %s is asked for: %w", ref, key, ErrRefused)
	}
	raw, given := all[key]
	if !given {
		return "", fmt.Errorf("the secret of %s has no key %s: %w", ref, key, ErrRefused)
	}
	var text string
	if bytes.HasPrefix(raw, []byte(`"`)) {
		if err := json.Unmarshal(raw, &text); err != nil {
			return "", fmt.Errorf("the key %s of the secret of %s: %w", key, ref, err)
		}
		return text, nil
	}
	return string(raw), nil
}

// Texts returns all texts in a value that is a JSON object, but for its keys: who has
// it has them. Nothing of any other value.
func Texts(value string) []string {
	var object map[string]any
	if json.Unmarshal([]byte(value), &object) != nil {
		return nil
	}
	return texts(object)
}

func texts(value any) []string {
	var all []string
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		for _, item := range v {
			all = append(all, texts(item)...)
		}
	case map[string]any:
		for _, item := range v {
			all = append(all, texts(item)...)
		}
	}
	return all
}
