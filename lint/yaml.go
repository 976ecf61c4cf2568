package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
)

// lostText reports parts of commands that YAML removes, such as a ! that it reads as a tag,
// and lines that it joins.
func (c *checker) lostText() {
	c.deepDashes()
	for _, s := range c.scripts {
		// The line of the file is needed, as YAML has already removed the characters in question.
		raw := c.Spec.Lines()[max(0, min(s.Line, len(c.Spec.Lines()))-1)]
		p := c.Spec.ProblemAt(s.Path, false, "")
		switch {
		// - ! grep x file is a shell negation to its author, and a YAML tag to the parser.
		case s.Tagged && strings.Contains(raw, "- ! "):
			c.say(p, "YAML removes the ! as a tag, and the command runs without it").
				Hint = "put the whole item in quotes"
		case s.Style == buildspec.Plain && strings.HasPrefix(s.Text, "-") && !strings.HasPrefix(s.Text, "--"):
			c.say(p, "there is no space after the dash, so YAML joins these lines").
				Hint = "write a dash and a space before each command"
		case s.Style == buildspec.Plain && c.deepDash(s.Line) > 0:
			p := c.Spec.At(c.deepDash(s.Line), 1+indentOf(c.Spec.Lines()[s.Line]), 1, "")
			p.Path = s.Path
			c.say(p, "this dash is indented more than the one above, so YAML appends the line to that command").
				Hint = "align the dashes"
		// Folding is often intended, for one long command. It is reported only if two lines look like
		// commands of their own.
		case s.Style == buildspec.Folded && c.joins(s):
			c.say(p, "YAML joins these lines into one command").Hint = "write | instead of >, or make each line an item"
		case s.Style == buildspec.Plain && c.joins(s):
			c.say(p, "YAML joins these lines into one command").Hint = "make each line an item, or write | before them"
		}
	}
}

// deepDashes reports misaligned dashes in lists of files.
func (c *checker) deepDashes() {
	// Commands are checked by lostText, with a more specific message.
	lists := map[string]int{"cache.paths": 0}
	if c.Spec.Cache != nil {
		lists["cache.paths"] = len(c.Spec.Cache.Paths)
	}
	if c.Spec.Artifacts != nil {
		lists["artifacts.files"], lists["artifacts.exclude-paths"] = len(c.Spec.Artifacts.Files),
			len(c.Spec.Artifacts.ExcludePaths)
	}
	for _, r := range c.Spec.Reports {
		lists["reports."+r.Name+".files"] = len(r.Files)
	}
	for list, n := range lists {
		for i := range n {
			place := c.Spec.Place(fmt.Sprintf("%s[%d]", list, i)).Value
			if line := c.deepDash(place.Line); line > 0 && place.Plain {
				p := c.Spec.At(line, 1+indentOf(c.Spec.Lines()[line-1]), 1, "")
				c.say(p, "this dash is indented more than the one above, so YAML appends the line to that item").
					Hint = "align the dashes"
			}
		}
	}
}

// deepDash returns the number of the line after an item if it begins with a dash and YAML
// still reads it as part of the item. Otherwise it returns 0.
func (c *checker) deepDash(line int) int {
	lines := c.Spec.Lines()
	if line < 1 || line >= len(lines) {
		return 0
	}
	item, below := lines[line-1], lines[line]
	isItem := func(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), "- ") }
	if !isItem(item) || !isItem(below) || indentOf(below) <= indentOf(item) {
		return 0
	}
	return line + 1
}

// joins reports whether YAML joined two or more lines that each do work of the build.
func (c *checker) joins(s *script) bool {
	lines := c.Spec.Lines()
	works := 0
	for n := s.Line; n < s.Line+c.spans(s) && n <= len(lines); n++ {
		text := strings.TrimPrefix(strings.TrimSpace(lines[n-1]), "- ")
		continues := func(suffix string) bool { return strings.HasSuffix(text, suffix) }
		// A line that ends like this is meant to be continued.
		if slices.ContainsFunc([]string{"\\", "&&", "||", "|", ";"}, continues) {
			return false
		}
		if isWork(strings.Fields(text)) {
			works++
		}
	}
	return works > 1
}

// emptyPhase reports a phase without commands. CodeBuild requires commands except in
// install, where runtime-versions is enough (documented), but runs a phase without any.
func (c *checker) emptyPhase() {
	for _, phase := range c.Spec.Phases {
		known := slices.ContainsFunc(c.found, func(p diag.Problem) bool { return strings.HasPrefix(p.Path, phase.Path) })
		if len(phase.Commands)+len(phase.Finally)+len(phase.Runtimes) == 0 && !known {
			c.say(c.Spec.ProblemAt(phase.Path, true, ""), phase.Path+" has no commands").
				Hint = "add commands:, or remove the phase"
		}
	}
}
