package project

import (
	"errors"
	"fmt"
	"strings"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// ParseOverride parses StartBuild's environmentVariablesOverride in the formats of the AWS
// CLI: a JSON list of {name, value, type}, a single such object, or the shorthand
// name=NAME,value=VALUE,type=TYPE, whose value may be quoted. origin is used in problems only.
func ParseOverride(origin, text string) ([]Variable, diag.List) {
	r := &reader{findings{file: origin}}
	switch trimmed := strings.TrimSpace(text); {
	// The AWS CLI accepts a single object for a list of one.
	case strings.HasPrefix(trimmed, "{"):
		text = "[" + text + "]"
	case !strings.HasPrefix(trimmed, "["):
		v, err := shorthand(trimmed)
		if err != nil {
			return nil, diag.List{{File: origin, Message: err.Error()}}
		}
		return []Variable{v}, nil
	}
	// Wrapping the list in a document reuses its checks.
	root, ok := r.document([]byte(`{"environmentVariables": ` + text + "}"))
	if !ok {
		return nil, r.list()
	}
	all := r.variables(root.child("environmentVariables"))
	for i := range all {
		all[i].Line = 0 // a command line has no lines
	}
	return all, r.list()
}

// shorthand parses the shorthand of one variable.
func shorthand(text string) (Variable, error) {
	v := Variable{Type: Plaintext}
	given := map[string]bool{}
	for rest := text; rest != ""; {
		// The shorthand has no escapes. Values with ",name=" and the like need JSON.
		key, behind, found := strings.Cut(rest, "=")
		if key = strings.TrimSpace(key); !found || key != "name" && key != "value" && key != "type" || given[key] {
			return v, fmt.Errorf("invalid variable %s; use name=NAME,value=VALUE,type=TYPE, or JSON", shown(text))
		}
		given[key] = true
		var value string
		value, rest = shortValue(behind)
		switch key {
		case "name":
			v.Name = value
		case "value":
			v.Value = value
		case "type":
			v.Type = VariableType(value)
		}
	}
	switch {
	case v.Name == "" || !given["value"]:
		return v, fmt.Errorf("%s has no name or no value; use name=NAME,value=VALUE", shown(text))
	case !ValidName(v.Name):
		return v, errors.New(badName(v.Name) + "; " + nameHint)
	// The type is checked here, since the shorthand does not pass through the document.
	case v.Type != Plaintext && v.Type != ParameterStore && v.Type != SecretsManager:
		return v, fmt.Errorf("unknown type %s; use %s, %s or %s",
			shown(string(v.Type)), Plaintext, ParameterStore, SecretsManager)
	}
	return v, nil
}

// shortValue returns the value at the beginning of text, and the text after its comma. A
// comma in quotes belongs to the value, as does one that no key follows.
func shortValue(text string) (value, rest string) {
	if text != "" && (text[0] == '\'' || text[0] == '"') {
		if end := strings.IndexByte(text[1:], text[0]); end >= 0 {
			return text[1 : end+1], strings.TrimPrefix(text[end+2:], ",")
		}
	}
	end := len(text)
	for _, next := range []string{",name=", ",value=", ",type="} {
		if at := strings.Index(text, next); at >= 0 {
			end = min(end, at)
		}
	}
	return text[:end], strings.TrimPrefix(text[end:], ",")
}
