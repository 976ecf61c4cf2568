package explain

import (
	"fmt"
	"strings"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// Markdown returns the report for a ticket.
func (r *Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n", inline(r.Title()))
	if c := r.Build.Commit; c != nil {
		fmt.Fprintf(&b, "\nCommit %s", code(c.ID))
		if c.Branch != "" {
			fmt.Fprintf(&b, " on %s", code(c.Branch))
		}
		if c.Changed > 0 {
			fmt.Fprintf(&b, " with %d uncommitted files", c.Changed)
		}
		b.WriteString(".\n")
	}
	r.writeFailure(&b)
	if r.Since != nil {
		fmt.Fprintf(&b, "\n### %s\n\n| what | change |\n| --- | --- |\n", inline(r.Since.Head()))
		for _, row := range r.Since.Rows() {
			fmt.Fprintf(&b, "| %s | %s |\n", row.Name, strings.ReplaceAll(inline(row.Text), "|", "\\|"))
		}
		writeSpec(&b, r.Since.Spec)
	}
	if r.Flaky != nil {
		fmt.Fprintf(&b, "\n%s.\n", inline(r.Flaky.Text()))
	}
	if r.Slow != nil {
		fmt.Fprintf(&b, "\n### %s\n\n| part | time | compared |\n| --- | --- | --- |\n", inline(r.Slow.Head()))
		for _, p := range append(append([]Part{}, r.Slow.Phases...), r.Slow.Commands...) {
			name := strings.TrimSpace(code(p.Name) + " " + code(p.Text()))
			fmt.Fprintf(&b, "| %s | %s | %s |\n", strings.ReplaceAll(name, "|", "\\|"), p.Took(), p.Compared())
		}
	}
	if len(r.Next) > 0 {
		b.WriteString("\n### Next\n\n")
		for _, n := range r.Next {
			fmt.Fprintf(&b, "- %s: %s\n", code(n.Command), n.Purpose)
		}
	}
	return b.String()
}

// Title returns the verdict in one line.
func (r *Report) Title() string {
	text := fmt.Sprintf("%s #%d %s", r.Build.Project, r.Build.Number, r.Build.Status)
	if f := r.Failure; f != nil {
		if f.At != "" {
			text += " in " + f.At
		} else {
			text += " in " + string(f.Phase)
		}
	}
	text += " after " + took(r.Build.Milliseconds)
	if r.Build.ByHand {
		text += ", changed by hand"
	}
	return text
}

// writeFailure writes the failed command and its output.
func (r *Report) writeFailure(b *strings.Builder) {
	f := r.Failure
	if f == nil {
		return
	}
	if f.Command != "" {
		fmt.Fprintf(b, "\n%s failed with exit status %d", code(firstLine(f.Command)), f.Exit)
		if f.File != "" && f.Line > 0 {
			fmt.Fprintf(b, " at %s", code(fmt.Sprintf("%s:%d", f.File, f.Line)))
		}
		b.WriteString(".\n")
	} else if f.Message != "" {
		fmt.Fprintf(b, "\n%s\n", inline(f.Message))
	}
	if len(f.Output) > 0 {
		var lines []string
		for _, line := range f.Output {
			lines = append(lines, string(diag.Plain([]byte(line))))
		}
		fence := fenceOf(lines)
		fmt.Fprintf(b, "\n%stext\n%s\n%s\n", fence, diag.Escape(strings.Join(lines, "\n")), fence)
	}
	for _, text := range r.Reasons() {
		fmt.Fprintf(b, "\n- %s", inline(text))
	}
	if len(r.Reasons()) > 0 {
		b.WriteString("\n")
	}
}

// Reasons returns the meaning of the exit status, and the hints.
func (r *Report) Reasons() []string {
	if r.Failure == nil {
		return nil
	}
	var all []string
	if f := r.Failure; f.Meaning != "" {
		all = append(all, fmt.Sprintf("exit status %d: %s", f.Exit, f.Meaning))
	}
	return append(all, r.Failure.Hints...)
}

// writeSpec writes the changed lines of the buildspec.
func writeSpec(b *strings.Builder, s *Spec) {
	if s == nil || len(s.Lines) == 0 {
		return
	}
	lines := s.Changed()
	fence := fenceOf(lines)
	fmt.Fprintf(b, "\n%sdiff\n%s\n%s\n", fence, strings.Join(lines, "\n"), fence)
}

// maxSpecLines is how many changed lines of a buildspec are shown.
const maxSpecLines = 20

// Changed returns the changed lines with a sign and their numbers.
func (s *Spec) Changed() []string {
	var all []string
	for _, l := range s.Lines[:min(len(s.Lines), maxSpecLines)] {
		sign := "+"
		if l.Change == removed {
			sign = "-"
		}
		all = append(all, fmt.Sprintf("%s %d: %s", sign, l.Number, diag.EscapeLine(l.Text)))
	}
	if more := len(s.Lines) - maxSpecLines; more > 0 {
		all = append(all, fmt.Sprintf("… %d more", more))
	}
	return all
}

// fenceOf returns a fence that is longer than any in the lines.
func fenceOf(lines []string) string {
	fence := "```"
	for strings.Contains(strings.Join(lines, "\n"), fence) {
		fence += "`"
	}
	return fence
}

// code returns a text as code; "" for an empty one.
func code(text string) string {
	if text == "" {
		return ""
	}
	text = diag.EscapeLine(text)
	if strings.Contains(text, "`") {
		return "`` " + text + " ``"
	}
	return "`" + text + "`"
}

// inline returns a text without Markdown of its own.
func inline(text string) string {
	return strings.NewReplacer("<", "&lt;", "*", "\\*", "`", "\\`", "[", "\\[").Replace(diag.EscapeLine(text))
}

func firstLine(text string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return first
}
