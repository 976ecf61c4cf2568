package local

import (
	"path"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// commandPhases are the phases with commands, as in a buildspec.
var commandPhases = []string{"install", "pre_build", "build", "post_build"}

// InputsOf returns the patterns of the files that a phase reads according to the user. nil means that
// the user has listed nothing for it, and an empty list that it reads no file of the source.
func (r *Request) InputsOf(phase string) []string {
	var patterns []string
	for _, text := range r.Inputs {
		name, pattern, _ := strings.Cut(text, "=")
		if !strings.EqualFold(name, phase) {
			continue
		}
		if patterns == nil {
			patterns = []string{}
		}
		if pattern != "" {
			patterns = append(patterns, pattern)
		}
	}
	return patterns
}

// validateInputs returns the mistakes in the setting inputs.
func (r *Request) validateInputs() []error {
	var errs []error
	for _, text := range r.Inputs {
		phase, pattern, given := strings.Cut(text, "=")
		if !given {
			errs = append(errs, wrongValue("inputs", text, "expected PHASE=PATTERN, such as install=package*.json"))
			continue
		}
		if known := slices.Contains(commandPhases, strings.ToLower(phase)); !known {
			message := "expected " + diag.Alternatives(commandPhases) + " before the ="
			if suggestion := diag.Suggest(strings.ToLower(phase), commandPhases); suggestion != "" {
				message = "unknown phase " + phase + "; did you mean " + suggestion + "?"
			}
			errs = append(errs, wrongValue("inputs", text, "%s", message))
		}
		if wrong := wrongPattern(pattern); wrong != "" {
			errs = append(errs, wrongValue("inputs", text, "%s", wrong))
		}
	}
	return errs
}

// wrongPattern returns why a text is no pattern of source files, or "".
func wrongPattern(pattern string) string {
	switch clean := path.Clean(pattern); {
	case pattern == "": // no file
		return ""
	case !tree.IsValid(pattern):
		return "not a pattern; *, **, ?, [a-z] and {a,b} are special"
	case path.IsAbs(pattern) || clean == ".." || strings.HasPrefix(clean, "../"):
		return "patterns are relative to the top of the source"
	case strings.HasPrefix(pattern, "!"):
		return "! excludes nothing; list only the files that the phase reads"
	}
	return ""
}
