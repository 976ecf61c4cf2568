package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
)

// lostText looks for what YAML has taken away from commands: a ! for a tag, and
// the ends of lines.
func (c *checker) lostText() {
	c.deepDashes()
	for _, s := range c.scripts {
		raw := c.Spec.Lines()[max(0, min(s.Line, len(c.Spec.Lines()))-1)]
		p := c.Spec.ProblemAt(s.Path, false, "")
		switch {
		case s.Tagged && strings.Contains(raw, "- ! "):
			c.say(p, "YAML takes the ! for a tag, and the command runs without it; expected the whole item in quotes")
		case s.Style == buildspec.Plain && strings.HasPrefix(s.Text, "-") && !strings.HasPrefix(s.Text, "--"):
			c.say(p, "the dash has no space behind it, and YAML makes one text of these lines; expected - and a space before each command")
		case s.Style == buildspec.Plain && c.deepDash(s.Line) > 0:
			p := c.Spec.At(c.deepDash(s.Line), 1+indentOf(c.Spec.Lines()[s.Line]), 1, "")
			p.Path = s.Path
			c.say(p, "this dash is indented further than the one above, and YAML makes its line a part of that command; expected both in one column")
		case s.Style == buildspec.Folded && c.joins(s):
			c.say(p, "YAML joins these lines into one command; expected a | in the place of the >, or an item for each line")
		case s.Style == buildspec.Plain && c.joins(s):
			c.say(p, "YAML joins these lines into one command; expected an item for each, or a | before them")
		}
	}
}

// deepDashes looks at lists of files.
func (c *checker) deepDashes() {
	lists := map[string]int{"cache.paths": 0}
	if c.Spec.Cache != nil {
		lists["cache.paths"] = len(c.Spec.Cache.Paths)
	}
	if c.Spec.Artifacts != nil {
		lists["artifacts.files"], lists["artifacts.exclude-paths"] = len(c.Spec.Artifacts.Files), len(c.Spec.Artifacts.ExcludePaths)
	}
	for _, r := range c.Spec.Reports {
		lists["reports."+r.Name+".files"] = len(r.Files)
	}
	for list, n := range lists {
		for i := range n {
			place := c.Spec.Place(fmt.Sprintf("%s[%d]", list, i)).Value
			if line := c.deepDash(place.Line); line > 0 && place.Plain {
				p := c.Spec.At(line, 1+indentOf(c.Spec.Lines()[line-1]), 1, "")
				c.say(p, "this dash is indented further than the one above, and YAML makes its line a part of that text; expected both in one column")
			}
		}
	}
}

// deepDash returns the line below an item of one line, where that begins with a
// dash and is a part of the item all the same; 0 for none.
func (c *checker) deepDash(line int) int {
	lines := c.Spec.Lines()
	if line < 1 || line >= len(lines) {
		return 0
	}
	item, below := lines[line-1], lines[line]
	if !strings.HasPrefix(strings.TrimSpace(item), "- ") || !strings.HasPrefix(strings.TrimSpace(below), "- ") || indentOf(below) <= indentOf(item) {
		return 0
	}
	return line + 1
}

// joins reports whether two lines that each do some work became one command.
func (c *checker) joins(s *script) bool {
	lines := c.Spec.Lines()
	works := 0
	for n := s.Line; n < s.Line+c.spans(s) && n <= len(lines); n++ {
		text := strings.TrimPrefix(strings.TrimSpace(lines[n-1]), "- ")
		if strings.HasSuffix(text, "\\") || strings.HasSuffix(text, "&&") || strings.HasSuffix(text, "||") || strings.HasSuffix(text, "|") || strings.HasSuffix(text, ";") {
			return false
		}
		if isWork(strings.Fields(text)) {
			works++
		}
	}
	return works > 1
}

// emptyPhase: commands are required but in install, where runtimes will do
// (documented); the service enters a phase without any all the same.
func (c *checker) emptyPhase() {
	for _, phase := range c.Spec.Phases {
		told := slices.ContainsFunc(c.found, func(p diag.Problem) bool { return strings.HasPrefix(p.Path, phase.Path) })
		if len(phase.Commands)+len(phase.Finally)+len(phase.Runtimes) == 0 && !told {
			c.say(c.Spec.ProblemAt(phase.Path, true, ""), phase.Path+" runs nothing; expected commands: with a list of them, or no such phase")
		}
	}
}
