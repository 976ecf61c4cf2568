package local

import (
	"iter"
	"slices"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/explain"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/runner"
)

// Explain explains a build that has ended, compared with the earlier builds of its output directory.
func Explain(s *builds.Store, b builds.Build) (*explain.Report, error) {
	r, err := ReadRecord(b)
	if err != nil {
		return nil, NewInputError(err)
	}
	return explain.New(r, recordsBefore(s, b.Number)), nil
}

// recordsBefore returns the records of the builds before one with a number, the newest first. Those
// that cannot be read are left out.
func recordsBefore(s *builds.Store, number int) iter.Seq[*runner.Record] {
	return func(yield func(*runner.Record) bool) {
		for _, b := range s.All() {
			if b.Number >= number {
				continue
			}
			if r, err := ReadRecord(b); err == nil && !yield(r) {
				return
			}
		}
	}
}

// ExplainView returns a report for the terminal.
func ExplainView(r *explain.Report) console.ExplainView {
	v := console.ExplainView{
		Status: r.Build.Status, Title: r.Title(), Source: r.Build.Version(), Reasons: r.Reasons(), Next: r.Next,
	}
	if f := r.Failure; f != nil {
		v.Output, v.Message = f.Output, f.Message
		v.Problem = problemOf(f)
	}
	if s := r.Since; s != nil {
		v.Head = s.Head()
		for _, row := range s.Rows() {
			v.Rows = append(v.Rows, console.ExplainRow(row))
		}
		if s.Spec != nil {
			v.Changed = s.Spec.Changed()
		}
	}
	if r.Flaky != nil {
		v.Notes = append(v.Notes, r.Flaky.Text())
	}
	if r.Slow != nil {
		v.SlowHead = r.Slow.Head()
		for _, p := range slices.Concat(r.Slow.Phases, r.Slow.Commands) {
			v.Slow = append(v.Slow, []string{p.Name, p.Took(), p.Compared(), p.Text()})
		}
	}
	return v
}

// problemOf returns the position of a failure in the buildspec; nil if it is not known.
func problemOf(f *explain.Failure) *diag.Problem {
	if f.Line == 0 {
		return nil
	}
	p := &diag.Problem{
		Severity: diag.Error, File: f.File, Line: f.Line, Column: f.Column, Width: f.Width,
		Message: f.Message, Hint: f.Cause, Service: f.Service,
	}
	if f.Command != "" {
		p.Message = f.Status()
	}
	if i := f.Line - f.First; i >= 0 && i < len(f.Excerpt) {
		p.Excerpt = f.Excerpt[i]
	}
	return p
}

// ExplainStop explains the command that has failed at a stop of the build, as explain does for a
// build that has ended. With wait it waits for facts about the source, else it returns nil without
// them.
func (s *Session) ExplainStop(live *runner.Live, wait bool) *explain.Report {
	select {
	case <-s.found.done:
	default:
		if !wait {
			return nil
		}
		<-s.found.done // at most maxFactsTime after the start of the build
	}
	r := live.Record()
	if r == nil || len(r.Failures) == 0 {
		return nil
	}
	r.Status, r.Failures = runner.Failed, r.Failures[len(r.Failures)-1:] // the command of this stop
	s.found.describe(r)
	return explain.New(r, recordsBefore(s.inputs.Builds, s.Dir.Number))
}
