package dap

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-dap"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/debugger"
	"github.com/buildlocal/buildlocal/runner"
)

// mark is a breakpoint of the client. It is kept for the time before a build is launched, and for a
// restart.
type mark struct {
	id    int // for the client
	b     debugger.Break
	err   error // why it cannot be set
	path  string
	added int // Break.ID; 0 if it is not in the debugger
}

// Kinds of marks. Those of a source begin with lineMarks.
const (
	lineMarks      = "line:"
	functionMarks  = "function"
	exceptionMarks = "exception"
)

// newMark returns a mark for a place with the options of a breakpoint.
func newMark(where, condition, hits, message string) *mark {
	m := &mark{}
	var errs []error
	var err error
	if m.b.Where, err = runner.ParseWhere(where); err != nil {
		errs = append(errs, err)
	}
	m.b.Condition, m.b.Log = strings.TrimSpace(condition), message
	if m.b.Hits, err = debugger.ParseHits(hits); err != nil {
		errs = append(errs, err)
	}
	m.err = errors.Join(errs...)
	return m
}

// setBreakpoints replaces the breakpoints of a source.
func (s *session) setBreakpoints(ctx context.Context, a dap.SetBreakpointsArguments) dap.SetBreakpointsResponseBody {
	var marks []*mark
	for _, b := range a.Breakpoints {
		m := newMark(fmt.Sprintf(":%d", s.ourLine(b.Line)), b.Condition, b.HitCondition, b.LogMessage)
		m.path = a.Source.Path
		marks = append(marks, m)
	}
	return dap.SetBreakpointsResponseBody{Breakpoints: s.setMarks(ctx, lineMarks+a.Source.Path, marks)}
}

// setFunctionBreakpoints replaces the breakpoints by place, such as build:2.
func (s *session) setFunctionBreakpoints(ctx context.Context, a dap.SetFunctionBreakpointsArguments) []dap.Breakpoint {
	var marks []*mark
	for _, b := range a.Breakpoints {
		marks = append(marks, newMark(b.Name, b.Condition, b.HitCondition, ""))
	}
	return s.setMarks(ctx, functionMarks, marks)
}

// setExceptionBreakpoints replaces the events at which the build stops.
func (s *session) setExceptionBreakpoints(
	ctx context.Context, a dap.SetExceptionBreakpointsArguments,
) []dap.Breakpoint {
	var marks []*mark
	add := func(filter, condition string) {
		m := newMark(filter, condition, "", "")
		if m.err == nil && m.b.Event == "" {
			m.err = fmt.Errorf("unknown filter %q; expected failure, breakpoint, failure:each or timeout", filter)
		}
		marks = append(marks, m)
	}
	for _, filter := range a.Filters {
		add(filter, "")
	}
	for _, o := range a.FilterOptions {
		add(o.FilterId, o.Condition)
	}
	return s.setMarks(ctx, exceptionMarks, marks)
}

// setMarks replaces the marks of a kind, and describes them for the client.
func (s *session) setMarks(ctx context.Context, kind string, marks []*mark) []dap.Breakpoint {
	s.mu.Lock()
	old, r := s.marks[kind], s.run
	for _, m := range marks {
		s.lastMark++
		m.id = s.lastMark
	}
	s.marks[kind] = marks
	s.mu.Unlock()
	all := []dap.Breakpoint{}
	if r == nil {
		for _, m := range marks {
			all = append(all, s.foresee(ctx, m))
		}
		return all
	}
	for _, m := range old {
		if m.added > 0 {
			r.build.Delete(m.added)
		}
	}
	for _, m := range marks {
		all = append(all, r.add(m))
	}
	return all
}

// remark sets the marks in a build that was launched after them, and reports to the client where they are.
func (s *session) remark(r *run) {
	s.mu.Lock()
	var all []*mark
	for _, marks := range s.marks {
		all = append(all, marks...)
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b *mark) int { return a.id - b.id })
	for _, m := range all {
		s.event("breakpoint", dap.BreakpointEventBody{Reason: "changed", Breakpoint: r.add(m)})
	}
}

// add sets a mark in the build.
func (r *run) add(m *mark) dap.Breakpoint {
	m.added = 0
	if m.err == nil && m.path != "" && !sameFile(m.path, r.build.Source.Path) {
		name := r.build.Source.Name
		return dap.Breakpoint{Id: m.id, Message: "the buildspec of this build is " + name, Source: &dap.Source{Path: m.path}}
	}
	if m.err != nil {
		return dap.Breakpoint{Id: m.id, Message: m.err.Error()}
	}
	added, _, err := r.build.Add(m.b)
	if err != nil {
		return dap.Breakpoint{Id: m.id, Message: err.Error()}
	}
	m.added = added.ID
	return r.describe(m, r.build.Plan(), added.At, r.sourceOf())
}

// foresee describes a mark before a build is launched.
func (s *session) foresee(ctx context.Context, m *mark) dap.Breakpoint {
	if m.err != nil {
		return dap.Breakpoint{Id: m.id, Message: m.err.Error()}
	}
	if m.b.Event != "" {
		return dap.Breakpoint{Id: m.id, Verified: true}
	}
	if m.path == "" || s.Outline == nil {
		return dap.Breakpoint{Id: m.id, Message: "is checked when the build is launched"}
	}
	p, err := s.Outline(ctx, m.path)
	if err != nil {
		return dap.Breakpoint{Id: m.id, Message: err.Error()}
	}
	at, _, err := p.Resolve(m.b.Where)
	if err != nil {
		return dap.Breakpoint{Id: m.id, Message: err.Error()}
	}
	return s.describe(m, p, at, &dap.Source{Name: filepath.Base(m.path), Path: m.path})
}

// describe describes a mark at places of a plan.
func (s *session) describe(m *mark, p *runner.Plan, at []string, source *dap.Source) dap.Breakpoint {
	b := dap.Breakpoint{Id: m.id, Verified: true}
	for _, place := range p.Places() {
		if len(at) > 0 && place.At == at[0] {
			b.Source, b.Line, b.EndLine = source, s.clientLine(place.Line), s.clientLine(lastLine(place))
		}
	}
	return b
}

// lastLine returns the last line of a command in the buildspec.
func lastLine(p runner.Place) int {
	if p.Style != buildspec.Literal {
		return p.Line
	}
	return p.Line + strings.Count(strings.TrimRight(p.Text, "\n"), "\n")
}

// markOf returns the mark with a breakpoint of the debugger, and its kind.
func (s *session) markOf(id int) (string, *mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for kind, marks := range s.marks {
		for _, m := range marks {
			if m.added == id {
				return kind, m
			}
		}
	}
	return "", nil
}

// breakpointLocations returns the lines of a source with a command.
func (s *session) breakpointLocations(ctx context.Context, a *dap.BreakpointLocationsArguments) (any, error) {
	body := dap.BreakpointLocationsResponseBody{Breakpoints: []dap.BreakpointLocation{}}
	if a == nil {
		return body, nil
	}
	first := s.ourLine(a.Line)
	last := first
	if a.EndLine > 0 {
		last = s.ourLine(a.EndLine)
	}
	var p *runner.Plan
	if r, err := s.current(); err == nil {
		if a.Source.Path != "" && !sameFile(a.Source.Path, r.build.Source.Path) {
			return body, nil
		}
		p = r.build.Plan()
	} else if s.Outline != nil && a.Source.Path != "" {
		if p, err = s.Outline(ctx, a.Source.Path); err != nil {
			return nil, err
		}
	}
	if p == nil {
		return body, nil
	}
	for _, place := range p.Places() {
		if place.Line >= first && place.Line <= last {
			body.Breakpoints = append(body.Breakpoints, dap.BreakpointLocation{Line: s.clientLine(place.Line)})
		}
	}
	return body, nil
}

// sameFile reports whether two names are those of one file.
func sameFile(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// clientLine returns a line as the client counts, ourLine one as this program does, from 1.
func (s *session) clientLine(line int) int { return line - s.firstLine() }
func (s *session) ourLine(line int) int    { return line + s.firstLine() }

// firstLine returns 1 for a client that counts lines from 0.
func (s *session) firstLine() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hello == nil || s.client.LinesStartAt1 {
		return 0
	}
	return 1
}
