package lint

import (
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
)

// lostText looks for what YAML has taken away from commands: a ! for a tag, and
// the ends of lines.
func (c *checker) lostText() {
	for _, s := range c.scripts {
		raw := c.Spec.Lines()[max(0, min(s.Line, len(c.Spec.Lines()))-1)]
		p := c.Spec.ProblemAt(s.Path, false, "")
		switch {
		case s.Tagged && strings.Contains(raw, "- ! "):
			c.say(p, "YAML takes the ! for a tag, and the command runs without it; expected the whole item in quotes")
		case s.Style == buildspec.Plain && strings.HasPrefix(s.Text, "-") && !strings.HasPrefix(s.Text, "--"):
			c.say(p, "the dash has no space behind it, and YAML makes one text of these lines; expected - and a space before each command")
		case (s.Style == buildspec.Folded || s.Style == buildspec.Plain) && c.joins(s):
			c.say(p, "YAML joins these lines into one command; expected a | in the place of the >, or an item for each line")
		}
	}
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
