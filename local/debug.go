package local

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/atomicfile"
	"github.com/buildlocal/buildlocal/runner"
)

// DebugOptions say where a build stops and which of its parts run.
type DebugOptions struct {
	Debug bool          // stop at failures, in codebuild-breakpoint and at the time limit
	Break []string      // where to stop, see runner.ParseWhere
	Step  bool          // stop before every command
	Wait  time.Duration // how long a stop waits for an answer; 0 for the default

	Only  []string // phases whose commands run
	Skip  []string // phases, commands, artifacts, reports or cache that are left out
	Until string   // the last phase or command

	From         string // the first phase or command, FromChanges, or "" for all
	Force        bool   // use a snapshot for From that does not fit
	Snapshots    string // auto, always or never: take snapshots at the end of phases
	SnapshotSize string // limit of all snapshots, such as 10GB; "0" is unlimited
}

// Stops reports whether a build may stop.
func (o DebugOptions) Stops() bool { return o.Debug || o.Step || len(o.Break) > 0 }

// withoutStops returns the options that choose parts of the build.
func (o DebugOptions) withoutStops() DebugOptions {
	return DebugOptions{
		Only: o.Only, Skip: o.Skip, Until: o.Until,
		From: o.From, Force: o.Force, Snapshots: o.Snapshots, SnapshotSize: o.SnapshotSize,
	}
}

// Places returns where the build stops. Texts that cannot be parsed are left out; Validate reports
// them.
func (o DebugOptions) Places() []runner.Where {
	texts := o.Break
	if o.Debug {
		for _, e := range []runner.WhereEvent{runner.WhereFailure, runner.WhereBreakpoint, runner.WhereTimeout} {
			texts = append(texts[:len(texts):len(texts)], string(e))
		}
	}
	var all []runner.Where
	for _, text := range texts {
		if w, err := runner.ParseWhere(text); err == nil {
			all = append(all, w)
		}
	}
	return all
}

// validatePlaces returns the settings with places that cannot be parsed.
func (r *Request) validatePlaces() []error {
	var errs []error
	check := func(setting string, texts ...string) {
		for _, text := range texts {
			if _, err := runner.ParseWhere(text); err != nil {
				errs = append(errs, wrongValue(setting, text, "%s", err))
			}
		}
	}
	check("break", r.Debug.Break...)
	errs = append(errs, r.validateFrom()...)
	_, wrong := r.parts()
	errs = append(errs, wrong...)
	if r.Debug.Wait < 0 {
		errs = append(errs, wrongValue("pause-for", r.Debug.Wait.String(), "use a positive time, such as 10m"))
	}
	return errs
}

// parts returns the parts of the build that run, and the settings with wrong values.
func (r *Request) parts() (runner.Parts, []error) {
	var p runner.Parts
	var errs []error
	parse := func(setting, text string) *runner.Where {
		w, err := runner.ParseWhere(text)
		if err != nil {
			errs = append(errs, wrongValue(setting, text, "expected a phase (install, pre_build, build or post_build)"+
				" or a command (build:2)"))
			return nil
		}
		return &w
	}
	for _, text := range items(r.Debug.Only) {
		if w := parse("only", text); w != nil {
			p.Only = append(p.Only, *w)
		}
	}
	steps := map[string]*bool{"artifacts": &p.NoArtifacts, "reports": &p.NoReports, "cache": &p.NoCache}
	for _, text := range items(r.Debug.Skip) {
		if step := steps[text]; step != nil {
			*step = true
		} else if w := parse("skip", text); w != nil {
			p.Skip = append(p.Skip, *w)
		}
	}
	if r.Debug.Until != "" {
		p.Until = parse("until", r.Debug.Until)
	}
	return p, errs
}

// items splits lists that are separated by commas.
func items(lists []string) []string {
	var all []string
	for _, list := range lists {
		for item := range strings.SplitSeq(list, ",") {
			all = append(all, strings.TrimSpace(item))
		}
	}
	return all
}

// choose leaves out the parts of the plan that the user does not want.
func (r *Request) choose(p *runner.Plan) error {
	parts, _ := r.parts() // Validate reports the errors
	var errs []error
	wrong := p.Choose(parts)
	for _, setting := range []string{"only", "skip", "until"} {
		lists := map[string][]string{"only": r.Debug.Only, "skip": r.Debug.Skip, "until": {r.Debug.Until}}[setting]
		for _, text := range items(lists) {
			if err := wrong[text]; err != nil && text != "" {
				errs = append(errs, wrongValue(setting, text, "%s", err))
			}
		}
	}
	if err := wrong[""]; err != nil && len(errs) == 0 {
		errs = append(errs, UsageError{err})
	}
	return errors.Join(errs...)
}

// CheckPlaces returns an error for each place of the request that the buildspec does not have. It is
// for a request with other mistakes too, so that all are reported at once.
func (in *Inputs) CheckPlaces() error {
	p, err := in.Plan()
	if err != nil {
		return err
	}
	return errors.Join(in.Request.checkPlaces(p), in.Request.choose(p))
}

// checkPlaces returns an error for each place that the plan does not have.
func (r *Request) checkPlaces(p *runner.Plan) error {
	var errs []error
	for _, text := range r.Debug.Break {
		w, err := runner.ParseWhere(text)
		if err != nil {
			continue // Validate reports it
		}
		if _, _, err = p.Resolve(w); err != nil {
			errs = append(errs, wrongValue("break", text, "%s", err))
		}
	}
	return errors.Join(errs...)
}

// BuildspecFile returns the absolute name of the buildspec, or "" with its text if it is not a file.
func (s *Session) BuildspecFile() (file, text string) {
	in := s.inputs
	if in.Request.ReadsStdin() || in.inline != "" {
		return "", string(in.text.Text)
	}
	return absolute(in.text.Name), ""
}

// Debugger decides at the stop points of a build, see runner.Runner.Pause.
type Debugger interface {
	Pause(ctx context.Context, s runner.Stop, live *runner.Live) runner.Answer
}

// Drain waits until the sink has shown all events so far.
func (s *Session) Drain() {
	if queue := s.queue.Load(); queue != nil {
		queue.drain()
	}
}

// Reload reads the buildspec again, as it is on disk now, and returns the plan with its commands.
// Nothing else of the plan is for a build that runs already.
func (s *Session) Reload(ctx context.Context) (*runner.Plan, error) {
	in := *s.inputs
	in.Problems = nil
	if in.Request.ReadsStdin() {
		return s.Plan, nil
	}
	if err := in.host.readBuildspec(ctx, in.Request, &in); err != nil {
		return nil, err
	}
	proxies, _ := in.host.proxies(s.engine.ownNetwork())
	p, err := in.newPlan(s.Plan.Identity, s.engine, proxies)
	if err != nil {
		return nil, err
	}
	s.inputs.text = in.text
	return p, nil
}

// EditedBuildspec returns the name and the text of the buildspec's file with another text for a
// command. The error says why it cannot be written.
func (s *Session) EditedBuildspec(
	ctx context.Context, at runner.Place, text string,
) (name, before, after string, err error) {
	in := s.inputs
	if in.Request.ReadsStdin() || in.inline != "" {
		return "", "", "", errors.New("the buildspec is not a file of the source")
	}
	found, err := in.host.ReadBuildspec(ctx, in.Request, in.Project, in.Source)
	if err != nil {
		return "", "", "", err
	}
	after, err = buildspec.Replace(string(found.Text), at.Path, text)
	if err != nil {
		return "", "", "", fmt.Errorf("%w\nchange %s by hand; retry uses it", err, found.Name)
	}
	return found.Name, string(found.Text), after, nil
}

// WriteBuildspec writes a buildspec after the user has agreed, unless it has changed since it was
// read.
func (s *Session) WriteBuildspec(ctx context.Context, name, before, after string) error {
	now, err := s.inputs.host.ReadFile(ctx, name)
	if err != nil {
		return err
	}
	if string(now) != before {
		return fmt.Errorf("%s has changed in the meantime; nothing was written", name)
	}
	return atomicfile.Replace(name, []byte(after))
}
