package debugger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/runner/shell"
)

// Guest is a front end without a terminal, such as an editor. It does not take the prompt from a
// terminal, and both may answer: the first answer counts. Its methods may be called concurrently.
type Guest struct {
	d    *Debugger
	name string
}

// Join adds a front end with a name. While it is there, a stop waits without a limit, as it does for
// a prompt. Leave must be called once.
func (d *Debugger) Join(name string) *Guest {
	d.change(func() { d.guests++ })
	return &Guest{d, name}
}

// Leave removes the front end.
func (g *Guest) Leave() { g.d.change(func() { g.d.guests-- }) }

// Name returns the name of the front end.
func (g *Guest) Name() string { return g.name }

// Waiting is a stop that waits for an answer.
type Waiting struct {
	runner.Stop
	Since time.Time
	Hits  []int // the breakpoints that are the reason, by Break.ID
	w     *stopped
}

// Is reports whether two values are the same stop. Either may be nil.
func (w *Waiting) Is(other *Waiting) bool {
	if w == nil || other == nil {
		return w == other
	}
	return w.w == other.w
}

// State returns the stop that waits, nil if the build runs; a channel that is closed when that
// changes; and whether the build has ended.
func (g *Guest) State() (w *Waiting, changed <-chan struct{}, ended bool) {
	g.d.mu.Lock()
	defer g.d.mu.Unlock()
	if len(g.d.stops) > 0 {
		first := g.d.stops[0]
		w = &Waiting{first.Stop, first.since, first.hits, first}
	}
	return w, g.d.turn, g.d.ended
}

// Plan returns the plan whose commands run.
func (d *Debugger) Plan() *runner.Plan {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.plan
}

// Live returns the environment of the build. It is nil before the first stop point.
func (d *Debugger) Live() *runner.Live {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.live
}

// at returns a front end at a stop, which is perhaps over by now.
func (g *Guest) at(w *Waiting, out io.Writer) (*front, error) {
	f, err := g.front(out)
	if err == nil {
		f.stop = w.w
	}
	return f, err
}

// front returns a front end at the current stop, whose lines go to out.
func (g *Guest) front(out io.Writer) (*front, error) {
	size := func() (columns, rows int) { return guestColumns, guestRows }
	t := &Terminal{
		Out: out, Size: size, Name: g.name, Local: true, Look: console.Options{Width: func() int { return guestColumns }},
		Raw: func() (func(), error) { return func() {}, nil }, // no keys are read
	}
	f := &front{Debugger: g.d, t: t, out: out}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.stops) > 0 {
		f.stop = f.stops[0]
	}
	switch {
	case f.ended:
		return nil, runner.ErrOver
	case f.live == nil:
		return nil, runner.ErrNoEnvironment
	}
	return f, nil
}

// The size of an editor's console, which is not known.
const (
	guestColumns = 100
	guestRows    = 40
)

// ErrRunning is returned for a command that needs a stopped build.
var ErrRunning = errors.New("the build is running: pause it, or set a breakpoint")

// Do carries out a line of the prompt at a stop.
func (g *Guest) Do(ctx context.Context, w *Waiting, line string, out io.Writer) error {
	word, _, _ := strings.Cut(line, " ")
	if c, err := find(word); err == nil && slices.Contains([]string{"edit", "shell", "detach"}, c.name) {
		return fmt.Errorf("%s needs a terminal: buildlocal attach %s opens the prompt there", c.name, g.d.Build)
	}
	return g.do(w, out, func(f *front) (bool, error) { return f.execute(ctx, line) })
}

// do lets a front end act at a stop, and returns what it reports as errors.
func (g *Guest) do(w *Waiting, out io.Writer, act func(f *front) (bool, error)) error {
	f, err := g.at(w, out)
	if err != nil {
		return err
	}
	var failed []error
	f.failed = func(err error) { failed = append(failed, err) }
	_, err = act(f)
	return errors.Join(append(failed, err)...)
}

// Goto goes on at a command and stops before it.
func (g *Guest) Goto(w *Waiting, at string, out io.Writer) error {
	return g.do(w, out, func(f *front) (bool, error) {
		return f.jumpWith(at, func() { f.until[at] = true })
	})
}

// StepBack goes back to the snapshot at the previous boundary of phases, and stops after it.
func (g *Guest) StepBack(w *Waiting, out io.Writer) error { return g.do(w, out, (*front).stepBack) }

// CanStepBack reports whether the build has a snapshot.
func (g *Guest) CanStepBack() bool { return g.d.CanRewind != nil && g.d.CanRewind() }

// StepOut lets the build go on until the current function of a command that is stepped through has
// ended.
func (g *Guest) StepOut(w *Waiting) error {
	return g.do(w, io.Discard, func(f *front) (bool, error) { return f.stepOut(context.Background(), "") })
}

// Changed returns the files that the last command has changed; without any, those of its phase, else of the
// build. by says which of them it is, and is empty without changes.
func (g *Guest) Changed(ctx context.Context) (by string, all []engine.Change, err error) {
	f, err := g.front(io.Discard)
	if err != nil {
		return "", nil, err
	}
	return f.changedFiles(ctx, false)
}

// Run runs a shell command: as a command of the build, which keeps its variables and its directory,
// or beside a command that has not ended.
func (g *Guest) Run(ctx context.Context, text string, out io.Writer) error {
	f, err := g.front(out)
	if err != nil {
		return err
	}
	keep := f.stop != nil && !f.stop.Amid()
	if f.stop == nil {
		f.stop = &stopped{}
	}
	f.failed = func(failed error) { err = failed }
	if runErr := f.runText(ctx, text, keep); runErr != nil {
		return runErr
	}
	if err == nil && !keep {
		f.printf("beside the running command: variables and the directory are not kept")
	}
	return err
}

// Expand returns the value of a shell word such as ${NAME%.txt} in the state of the build. It runs
// beside the build, which it does not change. The caller has checked that the word runs no command.
func (g *Guest) Expand(ctx context.Context, word string) (string, error) {
	f, err := g.front(io.Discard)
	if err != nil {
		return "", err
	}
	var out, errs strings.Builder
	p := runner.LiveProcess{}
	if f.stop != nil {
		p.At = f.stop.Breakpoint
	}
	p.Args, p.Stdout, p.Stderr = []string{f.Plan().Shell, "-c", `printf %s "` + word + `"`}, &out, &errs
	exit, err := f.live.Exec(ctx, p)
	if err == nil && exit != 0 {
		err = errors.New(cmp.Or(strings.TrimSpace(errs.String()), "not a word of the shell"))
	}
	return out.String(), err
}

// Complete returns the words that may complete the last one of a line of the prompt.
func (g *Guest) Complete(line string) []string {
	f, err := g.front(io.Discard)
	if err != nil || f.stop == nil {
		return nil
	}
	return f.words(line)
}

// Files returns the names that may complete a path in the directory of the build.
func (g *Guest) Files(ctx context.Context, prefix string) []string {
	f, err := g.front(io.Discard)
	if err != nil {
		return nil
	}
	var out strings.Builder
	p := runner.LiveProcess{}
	if f.stop != nil {
		p.At = f.stop.Breakpoint
	}
	const list = `for f in "$1"*; do [ -e "$f" ] || continue; [ -d "$f" ] && f=$f/; printf '%s\n' "$f"; done`
	p.Args, p.Stdout = []string{"sh", "-c", list, "sh", prefix}, &out
	if exit, err := f.live.Exec(ctx, p); err != nil || exit != 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

// Variable is a variable of the next command.
type Variable struct {
	Name, Value string // the value of a secret is ***, and secrets in another value are masked
	Origin      string
	Secret      bool
	Changed     bool // since the build began
	planned     bool // it is one of the plan
}

// Variables returns the variables and the directory of the next command, sorted by name.
func (g *Guest) Variables(ctx context.Context) (all []Variable, dir string, err error) {
	f, err := g.front(io.Discard)
	if err != nil {
		return nil, "", err
	}
	var at *runner.Breakpoint
	if f.stop != nil {
		at = f.stop.Breakpoint
	}
	all, dir, err = f.variables(ctx, at, false)
	if err != nil {
		return nil, "", err
	}
	own, err := f.ownVariables(ctx)
	if err != nil {
		return nil, "", err
	}
	for i, v := range all {
		value, has := own[v.Name]
		switch {
		case slices.Contains(byShell, v.Name):
			all[i].Changed = false
		case !v.planned:
			all[i].Changed = !has || value != v.Value
		}
	}
	return all, dir, nil
}

// byShell are variables that every shell sets.
var byShell = []string{"_", "CODEBUILD_LAST_EXIT", "OLDPWD", "PWD", "SHLVL"}

// ownVariables returns the variables that the container has without the build.
func (f *front) ownVariables(ctx context.Context) (map[string]string, error) {
	f.mu.Lock()
	own := f.own
	f.mu.Unlock()
	if own != nil {
		return own, nil
	}
	var out strings.Builder
	p := runner.LiveProcess{NoEnv: true}
	p.Args, p.Stdout = []string{"sh", "-c", runner.PrintState}, &out
	if _, err := f.live.Exec(ctx, p); err != nil {
		return nil, err
	}
	own = map[string]string{}
	for _, v := range runner.ParseState(out.String()).Variables {
		own[v.Name] = v.Value
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Debugger.own = own
	return own, nil
}

// variables returns variables with their origins, with the values of secrets if they are to be shown.
func (f *front) variables(ctx context.Context, at *runner.Breakpoint, show bool) ([]Variable, string, error) {
	state, err := f.live.State(ctx, at)
	if err != nil {
		return nil, "", err
	}
	planned := map[string]runner.Variable{}
	for _, v := range f.Plan().Variables {
		planned[v.Name] = v
	}
	var all []Variable
	for _, v := range state.Variables {
		p, known := planned[v.Name]
		one := Variable{
			Name: v.Name, Value: v.Value, Origin: "image or build",
			Secret:  p.Secret || p.Stored != nil || v.Value != "" && f.masked(v.Value) == "***",
			Changed: known && p.Stored == nil && !p.Secret && !p.Expand && p.Value.Reveal() != v.Value,
			planned: known,
		}
		if known {
			one.Origin = p.Origin
			if one.Changed {
				one.Origin += ", changed"
			}
		}
		switch {
		case show:
		case one.Secret:
			one.Value = "***"
		default:
			one.Value = f.masked(v.Value)
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b Variable) int { return cmp.Compare(a.Name, b.Name) })
	return all, state.Dir, nil
}

// Set sets a variable of the build.
func (g *Guest) Set(ctx context.Context, name, value string) error {
	f, err := g.front(io.Discard)
	if err != nil {
		return err
	}
	if f.stop == nil {
		return ErrRunning
	}
	return f.setVariable(ctx, name, value)
}

// setVariable sets a variable of the build.
func (f *front) setVariable(ctx context.Context, name, value string) error {
	if !project.ValidName(name) {
		return fmt.Errorf("%q is not the name of a variable", name)
	}
	if err := f.live.Change(ctx, "", shell.Export(name, value)); err != nil {
		return err
	}
	f.live.ByHand(runner.HandSet, name)
	return nil
}

// Command is a command of the plan, and how it ended.
type Command struct {
	runner.Place
	Ran, Failed bool
	Exit        int
}

// Commands returns the commands of the plan.
func (g *Guest) Commands() []Command {
	g.d.mu.Lock()
	defer g.d.mu.Unlock()
	var all []Command
	for _, p := range g.d.plan.Places() {
		c := Command{Place: p}
		for _, s := range g.d.done {
			if s.at == p.At {
				c.Ran, c.Failed, c.Exit = true, s.failed, s.exit
			}
		}
		all = append(all, c)
	}
	return all
}

// declined answers a question that a front end without a terminal cannot ask.
func (f *front) declined(question string) bool {
	if f.editor != nil {
		return false
	}
	f.printf("%s no: only the prompt of buildlocal attach asks", human.TrimStop(strings.TrimSpace(question)))
	return true
}
