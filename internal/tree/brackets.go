package tree

import (
	"path"
	"strings"
)

// BracketNames returns the beginnings of a pattern, up to each component with brackets, that may
// be meant as exact names: app/[id] and app/[id]/[page].js for app/[id]/[page].js. Brackets are a
// character class, but names with them are common in Next.js and SvelteKit. It returns nil for
// a pattern without brackets.
func BracketNames(pattern string) []string {
	var names []string
	parts := strings.Split(path.Clean(pattern), "/")
	for i, part := range parts {
		if strings.ContainsAny(part, `*?{\$`) {
			break
		}
		if strings.Contains(part, "[") {
			names = append(names, strings.Join(parts[:i+1], "/"))
		}
	}
	return names
}

// EscapeBrackets returns a pattern that matches names with the brackets of another one. Question
// marks work everywhere: a backslash would be removed where a shell expands the pattern.
func EscapeBrackets(pattern string) string {
	return strings.NewReplacer("[", "?", "]", "?").Replace(pattern)
}

// BracketName returns the first of the names of BracketNames that is a file of this name or a
// directory that contains it, else "".
func BracketName(pattern, file string) string {
	if !strings.Contains(pattern, "[") { // as for most patterns; there may be many files
		return ""
	}
	for _, name := range BracketNames(pattern) {
		if contains(name, file) {
			return name
		}
	}
	return ""
}
