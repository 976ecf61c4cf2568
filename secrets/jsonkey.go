package secrets

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
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
	return slices.Collect(maps.Values(JSONFields(value)))
}

// JSONFields returns the strings in a JSON object by their places in it, as JSON pointers such as
// /users/0/password (RFC 6901). It is empty for any other value.
func JSONFields(value string) map[string]string {
	var object map[string]any
	all := map[string]string{}
	if json.Unmarshal([]byte(value), &object) == nil {
		addFields(all, "", object)
	}
	return all
}

// addFields adds the strings in a part of a JSON document, whose place is given.
func addFields(all map[string]string, at string, value any) {
	switch v := value.(type) {
	case string:
		all[at] = v
	case []any:
		for i, item := range v {
			addFields(all, at+"/"+strconv.Itoa(i), item)
		}
	case map[string]any:
		for name, item := range v {
			addFields(all, at+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name), item)
		}
	}
}
