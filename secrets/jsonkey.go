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
