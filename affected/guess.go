package affected

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/tree"
	"github.com/buildlocal/buildlocal/lint"
)

// Limits of a guess. A phase beyond them may read every file.
const (
	maxScript = 256 << 10 // bytes of a script or a manifest
	maxDepth  = 8         // of scripts that run scripts
	maxCalls  = 20_000    // commands in the scripts of one phase
	maxDirs   = 8         // working directories
	maxNames  = 10_000    // words that may be files
)

// guess has the files that the commands of one phase are expected to read.
type guess struct {
	all    string // the command that may read every file, "" without one
	names  []name
	commit string // the command that uses the commit or the branch, "" without one
}

// name is a pattern of files, or of directories with their contents, that a command reads.
type name struct {
	pattern string
	by      string // the command
}

// reads returns how the phase reads a file, such as "may read every file: make test", or "".
func (g *guess) reads(file string) string {
	for _, n := range g.names {
		if matches(n.pattern, file) {
			return "reads it: " + n.by
		}
	}
	if g.all != "" {
		return "may read every file: " + g.all
	}
	return ""
}

// usesCommit returns how the phase that was guessed last uses the commit, such as "uses it: git describe",
// or "". Commands that name it count whatever files the phase is known to read.
func (g *guess) usesCommit(p Phase) string {
	head := func(file string) bool { return file == ".git/HEAD" }
	switch {
	case g.commit != "":
		return "uses it: " + g.commit
	case p.Said != nil:
	case p.Seen != nil:
		if slices.ContainsFunc(p.Seen.Files, head) {
			return "opened .git/HEAD"
		}
	case g.all != "":
		return "may use it: " + g.all
	}
	return ""
}

// guesser follows the commands of the phases in their order. The working directory is not followed
// exactly: every directory that a cd can lead to counts for all later commands, so branches,
// functions and subshells need no attention.
type guesser struct {
	source fs.FS
	dirs   []string // "**" for one that is not known

	// The state within one phase.
	*guess
	calls     int
	done      map[string]bool // scripts that were read
	functions map[string]bool // are no programs
	within    []string        // the scripts that led here, for messages
}

func newGuesser(source fs.FS) *guesser { return &guesser{source: source, dirs: []string{"."}} }

// phase guesses what the commands of the next phase read.
func (g *guesser) phase(commands []string) *guess {
	g.guess, g.calls = &guess{}, 0
	g.done, g.functions, g.within = map[string]bool{}, map[string]bool{}, nil
	for _, text := range commands {
		g.script(text)
	}
	return g.guess
}

// script follows a shell script. One that is not for a POSIX shell, such as one for PowerShell, can
// read every file.
func (g *guesser) script(text string) {
	if strings.Contains(text, "SOURCE_VERSION") && g.commit == "" { // CODEBUILD_SOURCE_VERSION or …_RESOLVED_…
		g.commit = firstLine(text)
	}
	s, ok := lint.ParseScript(text)
	if g.calls += len(s.Calls); !ok || g.calls > maxCalls || len(g.within) > maxDepth {
		g.everything([]string{firstLine(text)})
		return
	}
	for _, f := range s.Functions {
		g.functions[f] = true
	}
	// A directory counts for commands before it too, if they are in a loop or a function.
	for _, words := range s.Calls {
		g.chdir(words)
	}
	for _, words := range s.Names {
		g.name(words, []string{"the script", words})
	}
	for _, words := range s.Calls {
		g.call(words)
	}
}

// chdir adds the directories that a cd can lead to.
func (g *guesser) chdir(words []string) {
	words = lint.Unwrapped(words)
	if len(words) < 2 || words[0] != "cd" && words[0] != "pushd" {
		return
	}
	target := words[len(words)-1]
	if strings.Contains(target, lint.Expanded) || target == "-" {
		g.addDir("**")
		return
	}
	for _, dir := range slices.Clone(g.dirs) {
		if below, is := resolve(dir, target); is {
			g.addDir(below)
		}
	}
}

func (g *guesser) addDir(dir string) {
	switch {
	case slices.Contains(g.dirs, dir):
	case len(g.dirs) < maxDirs:
		g.dirs = append(g.dirs, dir)
	case !slices.Contains(g.dirs, "**"):
		g.dirs = append(g.dirs, "**")
	}
}

// resolve returns a path relative to a directory of the source as a path below the source, and
// whether it is one. In a directory that is not known, it may be anywhere.
func resolve(dir, word string) (string, bool) {
	if word == "" || path.IsAbs(word) || strings.HasPrefix(word, "~") {
		return "", false
	}
	if dir == "**" {
		word = path.Clean(word)
		for strings.HasPrefix(word, "../") {
			word = word[len("../"):]
		}
		if word == ".." {
			word = "."
		}
		return path.Join("**", word), true
	}
	word = path.Join(dir, word)
	return word, word != ".." && !strings.HasPrefix(word, "../")
}

// everything records that a command may read every file. The first one is kept.
func (g *guesser) everything(words []string) {
	if g.all == "" {
		g.all = g.describe(words)
	}
}

// add records a pattern of files that a command reads.
func (g *guesser) add(pattern string, words []string) {
	if len(g.names) >= maxNames {
		g.everything(words)
		return
	}
	g.names = append(g.names, name{pattern, g.describe(words)})
}

// describe returns a command for a message: the first words, and the script that has it.
func (g *guesser) describe(words []string) string {
	const maxWords, maxRunes = 3, 40
	text := strings.Join(words[:min(len(words), maxWords)], " ")
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, lint.Expanded, "$…")), " ")
	if runes := []rune(text); len(runes) > maxRunes {
		text = string(runes[:maxRunes-1]) + "…"
	}
	if len(g.within) > 0 {
		text += " in " + g.within[len(g.within)-1]
	}
	return text
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// nameAll records the words of a command that may be names of files.
func (g *guesser) nameAll(words []string) {
	for _, w := range words[1:] {
		g.name(w, words)
	}
}

// name records a word that may be the name of a file, a directory or a pattern, as it is or in
// --file=NAME, -fNAME, @NAME and file://NAME. A word of which nothing is known is not recorded: it is
// rarely a file.
func (g *guesser) name(word string, words []string) {
	candidates := []string{word}
	if strings.HasPrefix(word, "-") && len(word) > 2 && word[1] != '-' {
		candidates = append(candidates, word[2:])
	}
	if _, value, has := strings.Cut(word, "="); has {
		candidates = append(candidates, value)
	}
	for _, w := range candidates {
		w = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(w, "@"), "fileb://"), "file://")
		pattern := patternOf(w)
		if pattern == "" || strings.HasPrefix(w, "-") || strings.Contains(w, "://") {
			continue
		}
		for _, dir := range g.dirs {
			if below, is := resolve(dir, pattern); is {
				g.nameOne(below, words)
			}
		}
	}
}

func (g *guesser) nameOne(pattern string, words []string) {
	if pattern == "." || pattern == "**" {
		g.everything(words)
		return
	}
	g.add(pattern, words)
}

// patternOf returns the pattern of the names that a word can expand to, or "" if that is everything.
func patternOf(word string) string {
	if !strings.Contains(word, lint.Expanded) {
		return word
	}
	parts := strings.Split(word, "/")
	known := false
	for i, part := range parts {
		if strings.Trim(part, lint.Expanded) == "" && part != "" {
			parts[i] = "**" // a value can have slashes
			continue
		}
		known = known || strings.Trim(part, ".*") != ""
		parts[i] = strings.ReplaceAll(part, lint.Expanded, "*")
	}
	if !known {
		return ""
	}
	return strings.Join(parts, "/")
}

// isUnknown reports whether a word expands to something of which nothing is known.
func isUnknown(word string) bool { return word != "" && patternOf(word) == "" }

// file runs a script of the source: the file with this name in one of the directories. It returns
// false without such a file.
func (g *guesser) file(word string, words []string) bool {
	found := false
	for _, dir := range g.dirs {
		below, is := resolve(dir, patternOf(word))
		if !is || !tree.IsLiteral(below) || below == "." {
			continue
		}
		text, exists := g.read(below)
		if !exists {
			continue
		}
		found = true
		g.add(below, words)
		if g.done[below] {
			continue
		}
		g.done[below] = true
		if !isShell(below, text, words) {
			g.everything(words)
			continue
		}
		g.within = append(g.within, below)
		g.script(text)
		g.within = g.within[:len(g.within)-1]
	}
	return found
}

// isShell reports whether a file is a script for a shell: by the program that reads it, by its first
// line, or by its name.
func isShell(name, text string, words []string) bool {
	if shells[words[0]] {
		return true
	}
	if first := firstLine(text); strings.HasPrefix(first, "#!") {
		fields := strings.FieldsFunc(first[2:], func(r rune) bool { return r == ' ' || r == '/' })
		return slices.ContainsFunc(fields, func(f string) bool { return shells[f] })
	}
	return path.Ext(name) == ".sh"
}

// read returns a file of the source, and whether it exists and is small.
func (g *guesser) read(name string) (string, bool) {
	if g.source == nil || !fs.ValidPath(name) {
		return "", false
	}
	info, err := fs.Stat(g.source, name) // opening a named pipe would block
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxScript {
		return "", false
	}
	text, err := fs.ReadFile(g.source, name)
	return string(text), err == nil
}
