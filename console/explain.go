package console

import (
	"strings"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/runner"
)

// ExplainView is the explanation of a build, see package explain.
type ExplainView struct {
	Status runner.Status
	Title  string // the verdict, which has the status
	Source string // the version of the source; empty if it has none

	Problem *diag.Problem // position of the failure; nil without one
	Message string        // the failure without a position
	Output  []string      // lines that explain it, with their colors
	Reasons []string      // the meaning of the exit status, and texts with the label hint: or lint:

	Head    string // title of Rows
	Rows    []ExplainRow
	Changed []string // lines of the buildspec, with a sign
	Notes   []string

	SlowHead string // title of Slow
	Slow     [][]string
	Next     []runner.NextStep
}

// ExplainRow is a fact about two builds.
type ExplainRow struct {
	Name, Text string
	Same       bool
}

// Explain prints the explanation of a build.
func (s *Screen) Explain(v ExplainView) {
	sign, _ := State(v.Status)
	before, after, _ := strings.Cut(v.Title, string(v.Status))
	_, status := State(v.Status)
	s.Line(s.Sign(sign), Plain(" "+before), status, Plain(after))
	if v.Source != "" {
		s.Line(s.Sign(Plain("")), Weak(" "+v.Source))
	}
	if v.Problem != nil {
		s.t.explain(failure{problem: v.Problem})
	} else if v.Message != "" {
		s.t.explain(failure{message: v.Message})
	}
	for _, line := range v.Output {
		s.t.quote(line)
	}
	for _, text := range v.Reasons {
		label, rest, _ := strings.Cut(text, ": ")
		s.Paragraph(rest, Span{Text: label + ":", paint: labels[label]})
	}
	if v.Head != "" {
		s.Gap()
		s.Line(Strong(v.Head))
		s.explainRows(v)
	}
	for _, note := range v.Notes {
		s.Paragraph(note, Span{Text: "note:"})
	}
	if v.SlowHead != "" {
		s.Gap()
		s.Line(Strong(v.SlowHead))
		s.explainSlow(v.Slow)
	}
	s.explainNext(v.Next)
}

// explainRows prints the facts about two builds, and the changed lines of the buildspec.
func (s *Screen) explainRows(v ExplainView) {
	widest := 0
	for _, row := range v.Rows {
		widest = max(widest, width(row.Name))
	}
	for _, row := range v.Rows {
		label := Span{Text: "  " + pad(row.Name, widest) + " "}
		text := row.Text
		if row.Same {
			label.paint = paintWeak
		}
		s.Paragraph(text, label)
	}
	for _, line := range v.Changed {
		s.t.quote(line)
	}
}

// explainSlow prints the parts of a build with their durations.
func (s *Screen) explainSlow(parts [][]string) {
	t := Table{Columns: []Column{{}, {}, {}, {Fit: FitText, Drop: 1}}, NoHead: true}
	for _, p := range parts {
		t.Add(Strong("  "+p[0]), Plain(p[1]), Plain(p[2]), Weak(p[3]))
	}
	s.Table(t)
}

// explainNext prints the next commands.
func (s *Screen) explainNext(steps []runner.NextStep) {
	if len(steps) == 0 {
		return
	}
	s.Gap()
	t := Table{Columns: []Column{{}, {Fit: FitText}}, NoHead: true}
	for _, n := range steps {
		t.Add(Accent("  "+n.Command), Weak(n.Purpose))
	}
	s.Table(t)
}
