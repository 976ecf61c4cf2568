// Package tree reads files out of somewhere else, as a tar stream, and knows
// CodeBuild's path patterns.
package tree

import (
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Match reports whether a slash-separated name matches a pattern of a
// buildspec: * within a name, ** across names, also hidden ones, and further
// ?, [a-z] and {a,b}. A pattern that cannot be read matches only itself.
//
// Documented for artifacts: dir/* is the files in dir, dir/**/* all below it,
// **/* everything.
func Match(pattern, name string) bool {
	pattern = path.Clean(pattern)
	if pattern == name {
		return true
	}
	if dir, all := strings.CutSuffix(pattern, "/**/*"); all && IsLiteral(dir) { // the usual one
		return len(name) > len(dir)+1 && name[len(dir)] == '/' && name[:len(dir)] == dir
	}
	if IsLiteral(pattern) || !contains(LiteralPrefix(pattern), name) {
		return false // exact also where names are no UTF-8
	}
	ok, err := doublestar.Match(pattern, name)
	return err == nil && ok
}

// IsLiteral reports whether a pattern names one path.
func IsLiteral(pattern string) bool { return !strings.ContainsAny(pattern, `*?[{\`) }

// Stem returns the directory, or for a literal the path, that all matches of a
// pattern share; "." when they share none.
func LiteralPrefix(pattern string) string {
	pattern = path.Clean(pattern)
	if IsLiteral(pattern) {
		return pattern
	}
	parts := strings.Split(pattern, "/")
	n := 0
	for n < len(parts) && IsLiteral(parts[n]) {
		n++
	}
	stem := strings.Join(parts[:n], "/")
	switch {
	case stem == "" && strings.HasPrefix(pattern, "/"):
		return "/"
	case stem == "":
		return "."
	}
	return stem
}

// Stems returns the fewest stems that hold all matches of patterns.
func LiteralPrefixes(patterns []string) []string {
	var all []string
	for _, pattern := range patterns {
		all = cover(all, LiteralPrefix(pattern))
	}
	return all
}

// cover adds stem unless another holds it, and drops those that it holds.
func cover(all []string, stem string) []string {
	var kept []string
	for _, other := range all {
		if contains(other, stem) {
			return all
		}
		if !contains(stem, other) {
			kept = append(kept, other)
		}
	}
	return append(kept, stem)
}

func contains(dir, name string) bool {
	if dir == "." {
		return !path.IsAbs(name) && !strings.HasPrefix(name+"/", "../")
	}
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}
