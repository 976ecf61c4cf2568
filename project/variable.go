package project

import (
	"errors"
	"fmt"
	"strings"
)

// ValidName reports whether name can be a variable in sh: letters, digits and
// "_", not beginning with a digit.
func ValidName(name string) bool {
	return name != "" && isWord(name) && (name[0] < '0' || name[0] > '9')
}

// isWord reports whether s is made of letters, digits and "_" only.
func isWord(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool {
		return c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	}) < 0
}

// ReservedName reports whether the service keeps name for itself: the user
// guide, "Environment variables in build environments", says that of every name
// that begins with CODEBUILD_.
func ReservedName(name string) bool {
	return strings.HasPrefix(name, "CODEBUILD_") && !strings.HasPrefix(name, "CODEBUILD_CONFIG_")
}

func badName(name string) string {
	return shown(name) + ` cannot be a variable; expected letters, digits and "_", not beginning with a digit`
}

func reservedName(name string) string {
	return shown(name) + " begins with CODEBUILD_, which is reserved for the service; choose another name"
}

// lastOfEach returns every name once, as it was defined last.
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

// ParseEnvFlag reads one variable of the command line: NAME=VALUE, where VALUE
// is taken as it is, or NAME, whose value lookup knows.
func ParseEnvFlag(arg string, lookup func(string) (string, bool)) (Variable, error) {
	name, value, given := strings.Cut(arg, "=")
	if name == "" {
		return Variable{}, errors.New("found a variable without a name; expected NAME=VALUE or NAME")
	}
	if !ValidName(name) {
		return Variable{}, errors.New(badName(name))
	}
	if !given {
		value, given = look(lookup, name)
	}
	if !given {
		return Variable{}, fmt.Errorf("variable %s is not set in your environment; set it, or write %s=VALUE", name, name)
	}
	if strings.ContainsRune(value, 0) {
		return Variable{}, fmt.Errorf("variable %s has a NUL character in its value; it cannot hold one", name)
	}
	return Variable{Name: name, Value: value, Type: Plaintext}, nil
}

// look is lookup where there is one.
func look(lookup func(string) (string, bool), name string) (string, bool) {
	if lookup == nil {
		return "", false
	}
	return lookup(name)
}
