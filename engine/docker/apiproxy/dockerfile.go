package apiproxy

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"sync"
	"unicode"
)

const remoteAddText = "ADD %s would be fetched by the engine from the host's network, outside the build; " +
	"use RUN curl, or COPY for files of the context"

// checkTriggers checks the ONBUILD triggers of a container's configuration, which an image
// inherits. Without this check a build could leave a trigger in an image, and use the image in a
// second, unsuspicious Dockerfile.
func checkTriggers(g *Proxy, value any) error {
	triggers, err := object{"OnBuild": value}.list("OnBuild")
	if err != nil {
		return err
	}
	for _, trigger := range triggers {
		if err := g.checkDockerfile([]byte("ONBUILD " + trigger)); err != nil {
			return err
		}
	}
	return nil
}

// checkDockerfile refuses instructions with which the engine itself downloads something: it
// does so from the host's network, where metadata addresses are reachable.
func (g *Proxy) checkDockerfile(text []byte) error {
	// Without blocked addresses the engine reaches nothing that the build's containers do not reach.
	if len(g.Unreachable) == 0 {
		return nil
	}
	if source, found := remoteAdd(text); found {
		return refuse(remoteAddText, source)
	}
	return nil
}

// continuations match the ends of continued lines, by escape character.
var continuations = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{regexp.MustCompile(`\\[ \t]*$`), regexp.MustCompile(`\x60[ \t]*$`)}
})

// remoteAdd returns a source of an ADD instruction that may be a URL once variables are
// expanded.
//
// It finds more instructions than the engine's parser, whose versions differ in
// their rules for continued lines and comments: every line may begin an instruction, with either
// escape character. Missing one would be a security problem; a false positive is only an
// error message.
func remoteAdd(text []byte) (source string, found bool) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	// The cost is quadratic only for lines that continue an ADD, because instruction gives up on all
	// others.
	lines := strings.Split(string(text), "\n")
	for i := range lines {
		if source, found := remoteFirst(lines[i:]); found {
			return source, true
		}
	}
	return "", false
}

// remoteFirst is remoteAdd for the instruction that begins with the first line.
func remoteFirst(lines []string) (source string, found bool) {
	for _, continuation := range continuations() {
		for _, indented := range []bool{false, true} {
			if source, found := remoteSource(instruction(lines, continuation, indented)); found {
				return source, true
			}
		}
	}
	return "", false
}

// instruction returns the instruction that begins with the first line if it can be ADD or
// ONBUILD, and else "". indented is whether comments in it may be indented.
func instruction(lines []string, continuation *regexp.Regexp, indented bool) string {
	joined := ""
	for _, line := range lines {
		line = strings.TrimRight(line, "\r")
		trimmed := strings.TrimLeftFunc(line, unicode.IsSpace)
		// Whether a comment inside of an instruction may be indented depends on the version of the
		// parser; both are tried.
		comment := line
		if joined == "" || indented {
			comment = trimmed
		}
		switch {
		case joined == "" && (trimmed == "" || trimmed[0] == '#'):
			return ""
		case trimmed == "" || comment[0] == '#':
			continue
		case joined == "":
			line = trimmed
		}
		end := continuation.FindStringIndex(line)
		if end == nil {
			joined += line
			break
		}
		joined += line[:end[0]]
		if joined == "" || !canBeAdd(joined) {
			return "" // the next line either continues the same instruction or is another one
		}
	}
	if !canBeAdd(joined) {
		return ""
	}
	return joined
}

// canBeAdd reports whether a text is, or may be continued to, ADD or ONBUILD.
func canBeAdd(text string) bool {
	text = strings.ToLower(text)
	for _, word := range []string{"add", "onbuild"} {
		if strings.HasPrefix(word, text) || strings.HasPrefix(text, word) {
			return true
		}
	}
	return false
}

// remoteSource returns a source of an instruction that may be a URL.
func remoteSource(instruction string) (source string, found bool) {
	rest := strings.TrimSpace(instruction)
	for len(rest) > 7 && strings.EqualFold(rest[:7], "onbuild") {
		rest = strings.TrimSpace(rest[7:])
	}
	if len(rest) < 3 || !strings.EqualFold(rest[:3], "add") {
		return "", false
	}
	rest = strings.TrimSpace(rest[3:])
	// Flags such as --chown and --checksum precede the sources.
	for strings.HasPrefix(rest, "--") {
		flag := strings.IndexFunc(rest, unicode.IsSpace)
		if flag < 0 {
			return "", false
		}
		rest = strings.TrimSpace(rest[flag:])
	}
	// Both forms are tried. A text that is not JSON has no words in the second one.
	for _, words := range [][]string{strings.FieldsFunc(rest, unicode.IsSpace), jsonWords(rest)} {
		for i, word := range words {
			if i < len(words)-1 && mayBeURL(word) { // the last word is the destination
				return word, true
			}
		}
	}
	return "", false
}

// jsonWords returns the words of an instruction in JSON form.
func jsonWords(text string) (words []string) {
	_ = json.Unmarshal([]byte(text), &words)
	return words
}

// mayBeURL reports whether a word is a URL, or may be one once variables are expanded.
func mayBeURL(word string) bool {
	word = strings.ToLower(strings.Map(func(c rune) rune {
		if strings.ContainsRune("\"'\\`[],", c) {
			return -1
		}
		return c
	}, word))
	if strings.Contains(word, "://") || strings.HasPrefix(word, "git@") {
		return true
	}
	// The value of a variable is not known here. It can make a URL only if the text before it is the
	// beginning of one.
	literal, _, variable := strings.Cut(word, "$")
	return variable && (strings.HasPrefix("https://", literal) || strings.HasPrefix("http://", literal))
}
