package project

import (
	"errors"
	"fmt"
	"strings"
)

// ValidName reports whether name is valid for a shell variable: letters, digits and "_", not
// beginning with a digit.
func ValidName(name string) bool {
	return name != "" && isWord(name) && (name[0] < '0' || name[0] > '9')
}

// isWord reports whether s consists of letters, digits and "_".
func isWord(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool {
		return c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	}) < 0
}

// ReservedName reports whether CodeBuild reserves a name. Documented in "Environment
// variables in build environments": all names that begin with CODEBUILD_ are reserved.
func ReservedName(name string) bool {
	return strings.HasPrefix(name, "CODEBUILD_") && !strings.HasPrefix(name, "CODEBUILD_CONFIG_")
}

// badName returns the message for an invalid name, and nameHint is the hint for it.
func badName(name string) string { return "invalid variable name " + shown(name) }

const nameHint = `use letters, digits and "_", and do not begin with a digit`

// reservedName returns the message for a reserved name.
func reservedName(name string) string {
	return shown(name) + " begins with CODEBUILD_, which CodeBuild reserves"
}

// lastOfEach removes duplicate names, of which the last definition wins. The order of the remaining
// ones is kept: it is the order in which the build sets them.
func lastOfEach(vars []Variable) []Variable {
	last := map[string]int{}
	for i, v := range vars {
		last[v.Name] = i
	}
	var kept []Variable
	for i, v := range vars {
		if last[v.Name] == i {
			kept = append(kept, v)
		}
	}
	return kept
}

// ParseEnvFlag parses a variable of the command line: NAME=VALUE with a literal value, or NAME
// to take the value from lookup, which is usually os.LookupEnv.
func ParseEnvFlag(arg string, lookup func(string) (string, bool)) (Variable, error) {
	name, value, given := strings.Cut(arg, "=")
	if name == "" {
		return Variable{}, errors.New("the variable has no name; use NAME=VALUE or NAME")
	}
	if !ValidName(name) {
		return Variable{}, errors.New(badName(name) + "; " + nameHint)
	}
	if !given {
		value, given = look(lookup, name)
	}
	if !given {
		return Variable{}, fmt.Errorf("variable %s is not set in your environment; set it, or write %s=VALUE", name, name)
	}
	// The environment of a process is a list of strings that end with NUL.
	if strings.ContainsRune(value, 0) {
		return Variable{}, fmt.Errorf("the value of variable %s contains a NUL character; remove it", name)
	}
	return Variable{Name: name, Value: value, Type: Plaintext}, nil
}

// look calls lookup unless it is nil.
func look(lookup func(string) (string, bool), name string) (string, bool) {
	if lookup == nil {
		return "", false
	}
	return lookup(name)
}
