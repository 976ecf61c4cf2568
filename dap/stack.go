package dap

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/go-dap"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/debugger"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner"
)

// The frames, from the top. Those of commands that have run follow from firstDone.
const (
	commandFrame = iota + 1
	statementFrame
	phaseFrame
	buildFrame
	firstDone
)

// inlineSource is the reference of a buildspec that is not a file.
const inlineSource = 1

// sourceOf returns the buildspec for the client.
func (r *run) sourceOf() *dap.Source {
	if r.build.Source.Path == "" {
		return &dap.Source{Name: r.build.Source.Name, SourceReference: inlineSource}
	}
	return &dap.Source{Name: filepath.Base(r.build.Source.Path), Path: r.build.Source.Path}
}

// loadedSources returns the buildspec.
func (s *session) loadedSources() any {
	body := dap.LoadedSourcesResponseBody{Sources: []dap.Source{}}
	if r, err := s.current(); err == nil {
		body.Sources = append(body.Sources, *r.sourceOf())
	}
	return body
}

// sourceText returns the text of a buildspec that is not a file.
func (s *session) sourceText(a dap.SourceArguments) (any, error) {
	r, err := s.current()
	if err != nil {
		return nil, err
	}
	reference := a.SourceReference
	if a.Source != nil && a.Source.SourceReference > 0 {
		reference = a.Source.SourceReference
	}
	if reference != inlineSource || r.build.Source.Path != "" {
		return nil, fmt.Errorf("there is no source %d; the buildspec is %s", reference, r.build.Source.Name)
	}
	return dap.SourceResponseBody{Content: r.mask(r.build.Source.Text), MimeType: "text/x-yaml"}, nil
}

// threads returns the build as the only thread.
func (s *session) threads() any {
	body := dap.ThreadsResponseBody{Threads: []dap.Thread{}}
	if r, err := s.current(); err == nil {
		body.Threads = append(body.Threads, dap.Thread{Id: thread, Name: r.title()})
	}
	return body
}

// title names the build.
func (r *run) title() string {
	number, _, _ := strings.Cut(r.build.Build, "-")
	return r.build.Project + " #" + number
}

// stackTrace returns the command at which the build is stopped, its phase, the build, and the commands
// that have run, the last one first.
func (s *session) stackTrace(a dap.StackTraceArguments) (any, error) {
	r, w, err := s.stopped()
	if err != nil {
		return nil, err
	}
	frames := r.frames(w)
	body := dap.StackTraceResponseBody{TotalFrames: len(frames)}
	first := min(max(0, a.StartFrame), len(frames))
	last := len(frames)
	if a.Levels > 0 {
		last = min(last, first+a.Levels)
	}
	body.StackFrames = append([]dap.StackFrame{}, frames[first:last]...)
	return body, nil
}

func (r *run) frames(w *debugger.Waiting) []dap.StackFrame {
	source := r.sourceOf()
	commands := r.guest.Commands()
	var frames []dap.StackFrame
	top := dap.StackFrame{Id: commandFrame, Name: w.At}
	if w.Line > 0 {
		top.Name += "  " + firstLineOf(w.Text)
		top.Source, top.Line, top.Column, top.CanRestart = source, r.clientLine(w.Line), 1, w.Failed()
	}
	if w.Reason == runner.AtStatement {
		frames = append(frames, dap.StackFrame{
			Id: statementFrame, Name: w.Text, Source: source, Line: r.clientLine(w.Line), Column: 1,
		})
	}
	phase := dap.StackFrame{Id: phaseFrame, Name: string(w.Phase), PresentationHint: "label"}
	for _, c := range commands {
		if c.At == w.At {
			top.EndLine = r.clientLine(lastLine(c.Place))
		}
		if c.At == w.At && w.Reason == runner.AtStatement {
			top.Line, top.Name = r.clientLine(c.Line), w.At+"  "+firstLineOf(r.mask(c.Text))
		}
		if phase.Line == 0 && c.Phase == w.Phase {
			phase.Source, phase.Line, phase.Column = source, r.clientLine(c.Line), 1
		}
	}
	frames = append(frames, top)
	if w.Phase != "" {
		frames = append(frames, phase)
	}
	frames = append(frames, dap.StackFrame{Id: buildFrame, Name: r.title(), PresentationHint: "label"})
	for i, c := range slices.Backward(commands) {
		if !c.Ran || c.At == w.At {
			continue
		}
		sign := "✓"
		if c.Failed {
			sign = fmt.Sprintf("✗ exit %d", c.Exit)
		}
		frames = append(frames, dap.StackFrame{
			Id: firstDone + i, Name: sign + " " + c.At + "  " + firstLineOf(r.mask(c.Text)), Source: source,
			Line: r.clientLine(c.Line), EndLine: r.clientLine(lastLine(c.Place)), Column: 1, PresentationHint: "subtle",
		})
	}
	return frames
}

// checkFrame returns an error for a frame that is not in the stack.
func (r *run) checkFrame(w *debugger.Waiting, id int) error {
	if slices.ContainsFunc(r.frames(w), func(f dap.StackFrame) bool { return f.Id == id }) {
		return nil
	}
	return fmt.Errorf("there is no frame %d; stackTrace lists those of this stop", id)
}

// firstLineOf returns the first line of a text, with a sign if there are more.
func firstLineOf(text string) string {
	line, more, _ := strings.Cut(strings.TrimRight(text, "\n"), "\n")
	if more != "" {
		line += " …"
	}
	return line
}

// Scopes, which are also references of their variables.
const (
	allScope = iota + 1
	changedScope
	serviceScope
	secretScope
	lastScope
	buildScope
	filesScope
)

// scopes returns the groups of variables. They are the same for all frames: the build has one state.
func (s *session) scopes(a dap.ScopesArguments) (any, error) {
	r, w, err := s.stopped()
	if err != nil {
		return nil, err
	}
	if err := r.checkFrame(w, a.FrameId); err != nil {
		return nil, err
	}
	return dap.ScopesResponseBody{Scopes: []dap.Scope{
		{Name: "Changed", VariablesReference: changedScope},
		{Name: "Variables", VariablesReference: allScope, PresentationHint: "locals"},
		{Name: "CodeBuild", VariablesReference: serviceScope},
		{Name: "Secrets", VariablesReference: secretScope},
		{Name: "Last command", VariablesReference: lastScope},
		{Name: "Files changed", VariablesReference: filesScope, Expensive: true},
		{Name: "Build", VariablesReference: buildScope},
	}}, nil
}

// variableCache keeps the variables of a stop until something may have changed them.
type variableCache struct {
	mu  sync.Mutex
	all []debugger.Variable // nil if they are not known
	dir string
}

// forget makes the next look read the variables again.
func (c *variableCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = nil
}

// get returns the variables and the directory.
func (r *run) get(ctx context.Context) ([]debugger.Variable, string, error) {
	c := &r.variables
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all != nil {
		return c.all, c.dir, nil
	}
	all, dir, err := r.guest.Variables(ctx)
	if err == nil {
		c.all, c.dir = all, dir
	}
	return all, dir, err
}

// listVariables returns the variables of a scope.
func (s *session) listVariables(ctx context.Context, a dap.VariablesArguments) (any, error) {
	r, w, err := s.stopped()
	if err != nil {
		return nil, err
	}
	body := dap.VariablesResponseBody{Variables: []dap.Variable{}}
	add := func(name, value string) {
		body.Variables = append(body.Variables, dap.Variable{
			Name: name, Value: r.mask(value), PresentationHint: &dap.VariablePresentationHint{Attributes: []string{"readOnly"}},
		})
	}
	switch a.VariablesReference {
	case lastScope:
		r.lastCommand(w, add)
	case filesScope:
		if err := r.changedFiles(ctx, add); err != nil {
			return nil, err
		}
	case buildScope:
		if err := r.buildFacts(ctx, add); err != nil {
			return nil, err
		}
	case allScope, changedScope, serviceScope, secretScope:
		all, _, err := r.get(ctx)
		if err != nil {
			return nil, err
		}
		for _, v := range all {
			if isIn(a.VariablesReference, v) {
				body.Variables = append(body.Variables, shown(v))
			}
		}
	default:
		return nil, fmt.Errorf("there are no variables with the reference %d", a.VariablesReference)
	}
	return body, nil
}

// isIn reports whether a variable belongs to a scope.
func isIn(scope int, v debugger.Variable) bool {
	service := strings.HasPrefix(v.Name, "CODEBUILD_") || strings.HasPrefix(v.Name, "AWS_")
	switch scope {
	case changedScope:
		return v.Changed && !service
	case serviceScope:
		return service
	case secretScope:
		return v.Secret
	}
	return !v.Secret && !service
}

// shown returns a variable for the client.
func shown(v debugger.Variable) dap.Variable {
	one := dap.Variable{Name: v.Name, Value: v.Value, Type: v.Origin, EvaluateName: "$" + v.Name}
	if v.Secret {
		one.PresentationHint = &dap.VariablePresentationHint{Visibility: "private"}
	}
	return one
}

// lastCommand adds facts about the last command that has ended.
func (r *run) lastCommand(w *debugger.Waiting, add func(name, value string)) {
	live := r.build.Live()
	if live == nil {
		return
	}
	record := live.Record()
	if record == nil || len(record.Commands) == 0 {
		return
	}
	c := record.Commands[len(record.Commands)-1]
	add("place", c.At)
	add("command", firstLineOf(c.Text))
	add("exit status", strconv.Itoa(c.Exit))
	add("attempt", strconv.Itoa(c.Attempt))
	add("duration", human.Duration(time.Duration(c.Milliseconds)*time.Millisecond))
	if used := c.Used; used != nil && used.PeakMemory > 0 {
		add("memory", human.Bytes(used.PeakMemory))
	}
	for _, hint := range w.Hints {
		add("hint", hint)
	}
}

// maxFiles is how many changed files an editor lists.
const maxFiles = 1000

// changedFiles adds the files that the last command has changed, else those of its phase or of the build.
func (r *run) changedFiles(ctx context.Context, add func(name, value string)) error {
	by, all, err := r.guest.Changed(ctx)
	if err != nil || by == "" {
		return err
	}
	add("changed by", by)
	for _, row := range console.ChangeRows(all[:min(len(all), maxFiles)]) {
		add(row.Path, strings.TrimSpace(row.Letter+" "+row.Size))
	}
	if more := len(all) - maxFiles; more > 0 {
		add("…", human.Count(more, "other file")+"; :files in the debug console lists all")
	}
	return nil
}

// buildFacts adds facts about the build.
func (r *run) buildFacts(ctx context.Context, add func(name, value string)) error {
	p := r.build.Plan()
	add("build", r.build.Build)
	add("project", r.build.Project)
	add("buildspec", p.File)
	add("engine", p.Engine)
	if p.Image != "" {
		add("image", p.Image)
	} else {
		add("environment", p.Place)
	}
	if p.Checkout != "" {
		add("source", p.Checkout)
	}
	_, dir, err := r.get(ctx)
	if err != nil {
		return err
	}
	add("directory", dir)
	return nil
}

// setVariable sets a variable of the build.
func (s *session) setVariable(ctx context.Context, a dap.SetVariableArguments) (any, error) {
	switch a.VariablesReference {
	case allScope, changedScope, serviceScope, secretScope:
	case lastScope, buildScope, filesScope:
		return nil, fmt.Errorf("%s is not a variable of the build", a.Name)
	default:
		return nil, fmt.Errorf("there are no variables with the reference %d", a.VariablesReference)
	}
	value, err := s.set(ctx, a.Name, a.Value)
	if err != nil {
		return nil, err
	}
	return dap.SetVariableResponseBody{Value: value}, nil
}

// setExpression sets the variable $NAME.
func (s *session) setExpression(ctx context.Context, a dap.SetExpressionArguments) (any, error) {
	name := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(a.Expression, "$"), "{"), "}")
	value, err := s.set(ctx, name, a.Value)
	if err != nil {
		return nil, err
	}
	return dap.SetExpressionResponseBody{Value: value}, nil
}

// set sets a variable, and returns the value to show.
func (s *session) set(ctx context.Context, name, value string) (string, error) {
	r, w, err := s.stopped()
	if err != nil {
		return "", err
	}
	err = r.guest.Set(ctx, name, value)
	r.variables.forget()
	if errors.Is(err, runner.ErrBusy) {
		return "", fmt.Errorf("a variable of %s cannot be set while it is amid its run", w.At)
	}
	if err != nil {
		return "", err
	}
	return s.mask(value), nil
}
