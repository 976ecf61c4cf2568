package buildspec

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// ErrCannotReplace is wrapped by the error for a command that Replace cannot write.
var ErrCannotReplace = errors.New("the command is written in a form that cannot be replaced")

// Replace returns the text of a buildspec file with another text for the command at a key path,
// such as phases.build.commands[2]. Every byte outside of the command stays the same, and the
// result has been parsed again: it differs in this command only.
func Replace(file, path, text string) (string, error) {
	b, problems := Parse("", []byte(file))
	at := slices.IndexFunc(b.commands(), func(c Command) bool { return c.Path == path })
	if problems.Failed() || at < 0 {
		return "", fmt.Errorf("%w: the file is invalid, or has no %s", ErrCannotReplace, path)
	}
	c, lines := b.commands()[at], strings.Split(file, "\n")
	if c.Line < 1 || c.Line > len(lines) || c.Tagged {
		return "", ErrCannotReplace
	}
	replace := replaceScalar
	if c.Style == Literal {
		replace = replaceBlock
	}
	changed, err := replace(lines, c, text)
	if err != nil {
		return "", err
	}
	result := strings.Join(changed, "\n")
	again, problems := Parse("", []byte(result))
	if problems.Failed() || !sameExcept(b, again, path, text) {
		return "", fmt.Errorf("%w: the file would have another meaning", ErrCannotReplace)
	}
	return result, nil
}

// sameExcept reports whether two buildspecs have the same commands, except for one with a new text.
func sameExcept(before, after *Buildspec, path, text string) bool {
	old, now := before.commands(), after.commands()
	if len(old) != len(now) {
		return false
	}
	for i, c := range old {
		want := c.Text
		if c.Path == path {
			want = text
		}
		if now[i].Path != c.Path || strings.TrimRight(now[i].Text, "\n") != strings.TrimRight(want, "\n") {
			return false
		}
	}
	return true
}

// commands returns the commands of all phases.
func (b *Buildspec) commands() []Command {
	var all []Command
	for _, p := range b.Phases {
		all = append(all, slices.Concat(p.Commands, p.Finally)...)
	}
	return all
}

// replaceBlock replaces the lines of a literal block.
func replaceBlock(lines []string, c Command, text string) ([]string, error) {
	count := strings.Count(strings.TrimRight(c.Text, "\n"), "\n") + 1
	first := lines[c.Line-1]
	indent := first[:len(first)-len(strings.TrimLeft(first, " "))]
	var block []string
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		if line != "" {
			line = indent + line
		}
		block = append(block, line)
	}
	if c.Line-1+count > len(lines) {
		return nil, ErrCannotReplace
	}
	return append(append(append([]string{}, lines[:c.Line-1]...), block...), lines[c.Line-1+count:]...), nil
}

// replaceScalar replaces a plain or quoted scalar on one line. A comment behind it stays.
func replaceScalar(lines []string, c Command, text string) ([]string, error) {
	line := []rune(strings.TrimSuffix(lines[c.Line-1], "\r"))
	ending := lines[c.Line-1][len(string(line)):]
	start := c.Column - 1
	if start < 0 || start >= len(line) {
		return nil, ErrCannotReplace
	}
	if c.Style == Quoted && start > 0 && line[start] != '"' && line[start] != '\'' {
		start-- // the position is that of the text
	}
	end := scalarEnd(line, start, c)
	if end < 0 {
		return nil, ErrCannotReplace
	}
	before, behind := string(line[:start]), string(line[end:])
	if strings.Contains(strings.TrimRight(text, "\n"), "\n") {
		return scalarToBlock(lines, c, before, behind, text)
	}
	written, err := scalar(text)
	if err != nil {
		return nil, err
	}
	changed := append([]string{}, lines...)
	changed[c.Line-1] = before + written + behind + ending
	return changed, nil
}

// scalarEnd returns the index behind a scalar that begins at start, or -1 if it is not on one line.
func scalarEnd(line []rune, start int, c Command) int {
	if c.Style == Plain {
		text := []rune(strings.TrimRight(c.Text, "\n"))
		if end := start + len(text); end <= len(line) && string(line[start:end]) == string(text) {
			return end
		}
		return -1
	}
	quote := line[start]
	for i := start + 1; i < len(line); i++ {
		switch {
		case quote == '"' && line[i] == '\\':
			i++
		case line[i] != quote:
		case quote == '\'' && i+1 < len(line) && line[i+1] == quote:
			i++
		default:
			return i + 1
		}
	}
	return -1
}

// scalar writes a text on one line, in the form in which a person would.
func scalar(text string) (string, error) {
	written, err := yaml.Marshal(strings.TrimRight(text, "\n"))
	if err != nil {
		return "", err
	}
	one := strings.TrimSuffix(string(written), "\n")
	if strings.Contains(one, "\n") {
		return "", ErrCannotReplace
	}
	return one, nil
}

// scalarToBlock replaces a scalar by a literal block. A comment behind the scalar stays behind the
// indicator of the block.
func scalarToBlock(lines []string, c Command, before, behind, text string) ([]string, error) {
	dash := strings.Index(before, "-")
	if dash < 0 || strings.TrimSpace(before) != "-" {
		return nil, ErrCannotReplace
	}
	const deeper = 2
	indent := strings.Repeat(" ", dash+deeper)
	block := []string{before + "|" + behind}
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		if line != "" {
			line = indent + line
		}
		block = append(block, line)
	}
	return append(append(append([]string{}, lines[:c.Line-1]...), block...), lines[c.Line:]...), nil
}
