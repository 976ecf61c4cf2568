package secrets

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Part returns the value of a key of a secret that is a JSON object: the text of a JSON
// string, and for any other value its JSON. ref is the reference, for messages. The error
// wraps ErrRefused; the service's own message is not known.
func Part(secret, key, ref string) (string, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(secret), &all); err != nil || all == nil {
		return "", fmt.Errorf("%s requests the key %s, but the secret is not a JSON object: %w", ref, key, ErrRefused)
	}
	raw, found := all[key]
	if !found {
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

// JSONStrings returns all strings in a value that is a JSON object, except its keys, and
// nothing for any other value. A build that has the whole secret can print each of them,
// so all must be masked.
func JSONStrings(value string) []string {
	var object map[string]any
	if json.Unmarshal([]byte(value), &object) != nil {
		return nil
	}
	return jsonStrings(object)
}

func jsonStrings(value any) []string {
	var all []string
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		for _, item := range v {
			all = append(all, jsonStrings(item)...)
		}
	case map[string]any:
		for _, item := range v {
			all = append(all, jsonStrings(item)...)
		}
	}
	return all
}
