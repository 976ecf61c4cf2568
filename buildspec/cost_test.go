package buildspec_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/buildspec"
)

// hostile are texts that are made to be dear.
func hostile() map[string]string {
	const size = 1 << 20
	fill := func(piece string) string { return strings.Repeat(piece, size/len(piece)) }
	return map[string]string{
		"a list in one line":  "x: [" + fill("a,") + "]",
		"empty lists":         "x: [" + fill("[],") + "]",
		"a long list":         "x:\n" + fill("- a\n"),
		"empty items":         "x:\n" + fill("-\n"),
		"keys in one line":    "{" + fill("a:,") + "}",
		"dashes in one line":  "x:\n" + fill("- "),
		"questions":           fill("? "),
		"a block of text":     "x: |\n" + fill("  a line of text\n"),
		"comments":            fill("# c\n") + "x: 1\n",
		"items with comments": "x:\n" + fill("- a # c\n"),
		"a quoted text":       "x: \"" + fill("\\n") + "\"",
		"brackets":            fill("["),
		"braces":              fill("{a: "),
		"anchors":             "x:\n" + fill("- &a a\n"),
		"aliases":             "y: &a a\nx:\n" + fill("- *a\n"),
		"one plain text":      "x: " + fill("a "),
		"aliases of aliases":  bomb(),
		"merges of merges":    merges(),
		"variables by aliases": "x: &x {" + many("k%: v, ", 9000) + "}\nenv: {variables: {<<: [" + many("*x, ", 9000) +
			"]}}\n",
		"unknown keys":             "version: 0.2\n" + many("k%: 1\n", 20000),
		"one key again and again":  "version: 0.2\nenv:\n  variables:\n" + many("    A: 1\n", 20000),
		"unknown keys in one line": "{version: 0.2, " + many("k%: 1, ", 15000) + "}",
		"far too much":             strings.Repeat("a", 64<<20),
		"commands that are none":   "version: 0.2\nphases: {build: {commands: [" + many("{a: b}, ", 7000) + "]}}\n",
		"phases by aliases": "version: 0.2\nx: &c [" + many("a, ", 20000) +
			"]\nphases:\n  install: {commands: *c}\n  pre_build: {commands: *c}\n  build: {commands: *c, finally: *c}\n  " +
			"post_build: {commands: *c, finally: *c}\n",
		"a circle": "version: 0.2\nphases: &p\n  build: *p\n  install: *p\n",
		"broken at the very end": "version: 0.2\nphases:\n  build:\n    commands:\n" + many("      - make\n", 50000) +
			"   x\n",
		"an item to be put quotes": "version: 0.2\nphases:\n  build:\n    commands:\n" + many("      - make\n", 50000) +
			"      - a: b: c\n",
		"items to be put in quotes": "version: 0.2\nphases:\n  build:\n    commands:\n" + many("      - a: b\n", 25000),
	}
}

// many repeats a piece, a count in the place of %.
func many(piece string, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(piece, "%", string(rune('a'+i%26))+strings.Repeat("z", i/26%20)+strings.Repeat("y",
			i/520)))
	}
	return b.String()
}

func merges() string {
	text := "version: 0.2\nx0: &x0 {a: 1}\n"
	for i := 1; i < 20; i++ {
		name := strings.Repeat("x", i+1)
		before := strings.Repeat("x", i)
		if i == 1 {
			before = "x0"
		}
		text += name + ": &" + name + " {<<: [*" + before + ", *" + before + "], k" + name + ": 1}\n"
	}
	return text + "phases: {build: {<<: *xxxxxxxxxxxxxxxxxxxx}}\n"
}

// memoryLimit is what reading one text may allocate, in bytes, all in all.
const memoryLimit = 64 << 20

// TestParse_BoundedMemory reads texts that are made to be dear. It runs alone:
// it measures the allocations of the whole process.
func TestParse_BoundedMemory(t *testing.T) {
	for name, text := range hostile() {
		bytes := []byte(text)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, problems := buildspec.Parse("buildspec.yml", bytes)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > memoryLimit {
			t.Errorf("%s: %d MiB", name, got>>20)
		}
		if got := len(problems.Error()); got > 4<<20 {
			t.Errorf("%s: %d MiB of problems", name, got>>20)
		}
	}
}

// BenchmarkHostile is how long they take: none 100 ms.
func BenchmarkHostile(b *testing.B) {
	for name, text := range hostile() {
		b.Run(name, func(b *testing.B) {
			bytes := []byte(text)
			for b.Loop() {
				buildspec.Parse("buildspec.yml", bytes)
			}
		})
	}
}
