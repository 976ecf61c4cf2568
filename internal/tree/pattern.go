// Package tree transfers files from a [Source], such as a container, as tar streams, and
// implements CodeBuild's path patterns.
//
// [Collect] copies the files that a [Selection] selects to the host, safely even if the
// source is hostile. [Walk] visits files without writing them, and [Match] and [Glob] match
// patterns. The package also has helpers for sparse files and free space.
package tree

import (
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Match reports whether a slash-separated name matches a pattern of a buildspec. * matches
// within a name and ** across names, including hidden ones; ?, [a-z] and {a,b} are
// supported too. An invalid pattern matches only itself. Documented for artifacts: dir/*
// matches the files in dir, dir/**/* everything below it, **/* everything.
func Match(pattern, name string) bool {
	pattern = path.Clean(pattern)
	if pattern == name {
		return true
	}
	if dir, all := strings.CutSuffix(pattern, "/**/*"); all && IsLiteral(dir) { // the most common pattern
		return len(name) > len(dir)+1 && name[len(dir)] == '/' && name[:len(dir)] == dir
	}
	if IsLiteral(pattern) || !contains(LiteralPrefix(pattern), name) {
		return false // names that are not UTF-8 must match exactly
	}
	ok, err := doublestar.Match(pattern, name)
	return err == nil && ok
}

// IsLiteral reports whether a pattern has no special characters.
func IsLiteral(pattern string) bool { return !strings.ContainsAny(pattern, `*?[{\`) }

// IsValid reports whether a pattern is well-formed. Match takes any text, and an invalid pattern
// matches only itself.
func IsValid(pattern string) bool { return doublestar.ValidatePattern(pattern) }

// LiteralPrefix returns the directory that all matches of a pattern are in, or the path
// itself for a literal pattern. It returns "." if they share no directory.
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

// LiteralPrefixes returns the smallest set of prefixes that contains all matches of
// patterns.
func LiteralPrefixes(patterns []string) []string {
	var all []string
	for _, pattern := range patterns {
		all = cover(all, LiteralPrefix(pattern))
	}
	return all
}

// cover adds a prefix unless another one contains it, and removes those that it contains.
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

// contains reports whether a name is dir or below it. "." contains everything that is relative.
func contains(dir, name string) bool {
	if dir == "." {
		return !path.IsAbs(name) && !strings.HasPrefix(name+"/", "../")
	}
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}
