package console

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner"
)

// CIKind is a CI system whose commands are written between the lines of a build: its log folds
// phases, and shows a failure beside the buildspec.
type CIKind string

// The kinds of CI systems.
const (
	CINone   CIKind = ""
	CIGitHub CIKind = "github" // also Gitea and Forgejo
	CIGitLab CIKind = "gitlab"
)

// CI are the options of a build's output in a CI job.
type CI struct {
	Kind CIKind
	// Token is text that the build cannot guess, of lower-case letters and digits. Between two
	// lines with it GitHub interprets no commands.
	Token string
	// Path returns a file's path in the repository, or "" for a file outside of it.
	Path func(file string) string
	// Verdict gets the last line of a build instead of the writer. nil is the writer.
	Verdict io.Writer
}

// ciLog is the state of a CI system's log.
type ciLog struct {
	CI
	plan      *runner.Plan
	title     string           // of the phase that has begun; "" if it is in a section, or has none
	phase     runner.PhaseType // of title, or of the open section
	section   string           // the open section's name; "" for none
	sections  int              // sections so far
	stopped   bool             // GitHub ignores commands
	annotated bool             // the first failure was reported
	held      []byte           // the beginning of a sequence in the output whose rest has not arrived
}

// phaseBegan remembers a phase, whose section begins with its first command. After a failure
// nothing is folded.
func (c *ciLog) phaseBegan(phase runner.PhaseType) {
	c.title = ""
	if c.Kind == CINone || c.annotated || c.plan == nil {
		return
	}
	for _, p := range c.plan.Phases {
		if n := len(p.Commands) + len(p.Finally); p.Type == phase && n > 0 {
			c.title, c.phase = fmt.Sprintf("%s · %s", phase, human.Count(n, "command")), phase
		}
	}
}

// begin returns the lines that begin the section of a phase before its first command.
func (c *ciLog) begin(now time.Time) string {
	if c.title == "" || c.section != "" {
		return ""
	}
	title := c.title
	c.title = ""
	c.sections++
	// Names of sections are unique in a job, which may run several builds.
	id, _, _ := strings.Cut(c.plan.Identity.UUID, "-")
	c.section = fmt.Sprintf("buildlocal_%s_%d_%s", id, c.sections, strings.ToLower(string(c.phase)))
	if c.Kind == CIGitLab {
		return fmt.Sprintf("section_start:%d:%s[collapsed=true]\r%s%s\n", now.Unix(), c.section, eraseSection, title)
	}
	return c.resume() + "::group::" + title + "\n"
}

// end returns the lines that end the open section.
func (c *ciLog) end(now time.Time) string {
	if c.section == "" {
		return ""
	}
	section := c.section
	c.section = ""
	if c.Kind == CIGitLab {
		return fmt.Sprintf("section_end:%d:%s\r%s\n", now.Unix(), section, eraseSection)
	}
	return c.resume() + "::endgroup::\n"
}

// stop returns the line after which GitHub ignores commands: before output of the build, which
// must not control the job.
func (c *ciLog) stop() string {
	if c.Kind != CIGitHub || c.stopped {
		return ""
	}
	c.stopped = true
	return "::stop-commands::" + c.Token + "\n"
}

// resume returns the line after which GitHub interprets commands again.
func (c *ciLog) resume() string {
	if !c.stopped {
		return ""
	}
	c.stopped = false
	return "::" + c.Token + "::\n"
}

// before returns the line that has to come before lines of buildlocal: they may quote a command
// or a file that has a command of GitHub in it.
func (c *ciLog) before(lines string) string {
	if c.Kind != CIGitHub {
		return ""
	}
	for line := range strings.Lines(lines) {
		if hasGitHubCommand(line) {
			return c.stop()
		}
	}
	return c.resume()
}

// hasGitHubCommand reports whether GitHub would interpret a line as a command: after white space,
// as ::NAME::, or as ##[NAME] anywhere (actions/runner, ActionCommand.cs).
func hasGitHubCommand(line string) bool {
	return strings.HasPrefix(strings.TrimSpace(plain(line)), "::") || strings.Contains(line, "##[")
}

// eraseSection ends a line that is a command of GitLab, after a carriage return.
const eraseSection = "\x1b[0K"

// filter returns output of a command as GitLab may get it: without the sequence that makes a
// line a command. A sequence may be split between two calls.
func (c *ciLog) filter(p []byte) []byte {
	if c.Kind != CIGitLab {
		return p
	}
	const mark = "\r" + eraseSection
	p = append(c.held, p...)
	c.held = nil
	// Removing a mark can make another one of the bytes around it.
	for bytes.Contains(p, []byte(mark)) {
		p = bytes.ReplaceAll(p, []byte(mark), []byte("\r"))
	}
	for n := min(len(mark)-1, len(p)); n > 0; n-- {
		if bytes.HasSuffix(p, []byte(mark[:n])) {
			c.held = bytes.Clone(p[len(p)-n:])
			return p[:len(p)-n]
		}
	}
	return p
}

// rest returns the part of the output that filter has kept, at the end of the output.
func (c *ciLog) rest() []byte {
	rest := c.held
	c.held = nil
	return rest
}

// annotation returns the command that reports the first failure of a build beside its place in the
// buildspec, or "".
func (c *ciLog) annotation(p *diag.Problem, title, text string) string {
	if c.Kind == CINone || c.annotated {
		return ""
	}
	c.annotated = true
	if c.Kind != CIGitHub {
		return ""
	}
	return c.resume() + c.Annotation(p, title, text)
}

// Annotation returns the command of GitHub that reports an error beside its place, which may be nil.
func (c CI) Annotation(p *diag.Problem, title, text string) string {
	var properties []string
	if p != nil && c.Path != nil && c.Path(p.File) != "" {
		properties = append(properties, "file="+gitHubProperty(c.Path(p.File)))
		if p.Line > 0 {
			properties = append(properties, fmt.Sprintf("line=%d", p.Line))
		}
		if p.Line > 0 && p.Column > 0 {
			properties = append(properties, fmt.Sprintf("col=%d", p.Column))
		}
	}
	properties = append(properties, "title="+gitHubProperty(diag.EscapeLine(title)))
	return fmt.Sprintf("::error %s::%s\n", strings.Join(properties, ","), gitHubData(diag.EscapeLine(text)))
}

// gitHubData escapes the message of a command of GitHub, and gitHubProperty the value of a
// property, which ends at a colon or comma (actions/toolkit, packages/core/src/command.ts).
func gitHubData(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(text)
}

func gitHubProperty(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(text)
}

// GuardGitHub returns a writer of whole lines that breaks up commands of GitHub in them. It is for
// the standard error, which GitHub reads besides the standard output, so that a command on one of
// them that stops the others may come too late.
func GuardGitHub(w io.Writer) io.Writer { return gitHubGuard{w} }

type gitHubGuard struct{ w io.Writer }

// Write implements io.Writer.
func (g gitHubGuard) Write(p []byte) (int, error) {
	var b strings.Builder
	for line := range strings.Lines(string(p)) {
		if strings.HasPrefix(strings.TrimSpace(plain(line)), "::") {
			line = strings.Replace(line, "::", ": :", 1)
		}
		b.WriteString(strings.ReplaceAll(line, "##[", "# #["))
	}
	if _, err := io.WriteString(g.w, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}
