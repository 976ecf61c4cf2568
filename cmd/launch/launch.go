// Package launch sets the flags of a command from an object in JSON, as editors keep it in their launch
// configurations.
package launch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
)

// Arguments are the members of an object.
type Arguments map[string]json.RawMessage

// ofEditors are members that editors add for themselves. Names that begin with two underscores are
// theirs too.
var ofEditors = []string{
	"consoleName", "debugServer", "internalConsoleOptions", "linux", "name", "osx", "postDebugTask", "preLaunchTask",
	"presentation", "request", "serverReadyAction", "suppressMultipleSessionWarning", "type", "windows", "dap-server-path",
	"environment-variables", "cleanup-function", "output-buffer", "debugger", "adapter", "host", "port", "debugPort",
}

// Text removes a member and returns its text. It is "" for one that is missing.
func (a Arguments) Text(name string) (string, error) {
	raw, given := a[name]
	delete(a, name)
	text := ""
	if given && json.Unmarshal(raw, &text) != nil {
		return "", wrongType(name, raw, "a text")
	}
	return text, nil
}

// Flag removes a member and returns whether it is true. It is false if it is missing.
func (a Arguments) Flag(name string) (bool, error) {
	raw, given := a[name]
	delete(a, name)
	is := false
	if given && json.Unmarshal(raw, &is) != nil {
		return false, wrongType(name, raw, "true or false")
	}
	return is, nil
}

// Set sets the flags that the members name. It returns an error for each member that is not a flag, or
// has a value of a wrong type. refused are flags that make no sense, with the reason.
func (a Arguments) Set(flags *pflag.FlagSet, refused map[string]string) []error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(a)) {
		flag := flags.Lookup(name)
		why, isRefused := refused[name]
		switch {
		case slices.Contains(ofEditors, name) && (flag == nil || isRefused), strings.HasPrefix(name, "__"):
			continue
		case isRefused:
			errs = append(errs, cli.Usagef("%s: %s", name, why))
			continue
		case flag == nil:
			errs = append(errs, cli.Usagef("unknown argument %s%s", human.ShellWord(name), diag.DidYouMean(name, names(flags))))
			continue
		}
		values, err := texts(flag, a[name])
		for _, value := range values {
			if err == nil {
				err = flags.Set(name, value)
			}
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// names returns the names of flags.
func names(flags *pflag.FlagSet) []string {
	all := []string{"program", "cwd", "stopOnEntry"}
	flags.VisitAll(func(f *pflag.Flag) { all = append(all, f.Name) })
	return all
}

// texts returns the values of a flag as texts: one, or for a flag that can be repeated any number. The
// object {"NAME": "VALUE"} is the same as ["NAME=VALUE"].
func texts(flag *pflag.Flag, raw json.RawMessage) ([]string, error) {
	repeatable := flag.Value.Type() == "stringArray"
	var list []json.RawMessage
	var object map[string]json.RawMessage
	switch {
	case repeatable && json.Unmarshal(raw, &list) == nil:
		var all []string
		for _, item := range list {
			text, is := scalar(item)
			if !is {
				return nil, wrongType(flag.Name, item, "texts in the list")
			}
			all = append(all, text)
		}
		return all, nil
	case repeatable && json.Unmarshal(raw, &object) == nil && len(object) > 0:
		var all []string
		for _, name := range slices.Sorted(maps.Keys(object)) {
			text, is := scalar(object[name])
			if !is {
				return nil, wrongType(flag.Name+"."+name, object[name], "a text")
			}
			all = append(all, name+"="+text)
		}
		return all, nil
	}
	text, is := scalar(raw)
	boolean := text == "true" || text == "false"
	switch expected := expectedType(flag); {
	case !is, flag.Value.Type() == "bool" && !boolean, isBoolean(raw) && flag.Value.Type() != "bool":
		return nil, wrongType(flag.Name, raw, expected)
	}
	return []string{text}, nil
}

// expectedType describes the values of a flag.
func expectedType(flag *pflag.Flag) string {
	switch flag.Value.Type() {
	case "bool":
		return "true or false"
	case "stringArray":
		return "a list of texts"
	case "int":
		return "a number"
	}
	return "a text"
}

// isBoolean reports whether a value is true or false.
func isBoolean(raw json.RawMessage) bool {
	var is bool
	return json.Unmarshal(raw, &is) == nil && string(raw) != "null"
}

// scalar returns a text, a number or a boolean as a text.
func scalar(raw json.RawMessage) (string, bool) {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if decoder.Decode(&value) != nil {
		return "", false
	}
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return fmt.Sprint(v), true
	}
	return "", false
}

// wrongType returns the error for a value of a wrong type.
func wrongType(name string, raw json.RawMessage, expected string) error {
	const most = 60
	text := string(raw)
	if len(text) > most {
		text = text[:most] + "…"
	}
	return cli.Usagef("%s is %s, expected %s", name, text, expected)
}

// ShellCommand returns the command that opens a shell in a build, for a terminal of an editor.
func ShellCommand(build string) []string {
	program, err := os.Executable()
	if err != nil {
		program = "buildlocal"
	}
	return []string{program, "shell", build}
}
