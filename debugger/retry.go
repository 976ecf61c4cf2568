package debugger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner"
)

// retry runs the command of the stop again: with the files and the buildspec of the source as they
// are now, or the text that the user gave it before.
func (f *front) retry(ctx context.Context, args string) (bool, error) {
	if args != "" && args != "--clean" {
		f.fail(fmt.Errorf("unknown option %s", args))
		return false, nil
	}
	if err := fits(f.stop.Stop, runner.ActionRetry); err != nil {
		f.fail(err)
		return false, nil
	}
	if args != "" {
		return f.retryClean(ctx)
	}
	if _, err := f.syncSource(ctx); err != nil && f.Sync != nil {
		reason, _, _ := strings.Cut(err.Error(), "\n")
		f.printf("note: the source is not synced: %s", reason)
	}
	a, err := f.reread(ctx)
	if err != nil {
		list := problems(err)
		for i := range list {
			f.screen().Failure(&list[i], nil)
		}
		if list == nil {
			f.fail(err)
		}
		f.printf("the buildspec is not used; the command keeps its text")
	}
	return f.answer(a)
}

// retryClean restores the snapshot before the phase of the command, and runs the commands after it with
// the buildspec as it is now.
func (f *front) retryClean(ctx context.Context) (bool, error) {
	a, err := f.reread(ctx)
	if err != nil {
		f.fail(err)
		return false, nil
	}
	plan := a.Plan
	if plan == nil {
		plan = f.Plan()
	}
	places := plan.Places()
	at := slices.IndexFunc(places, func(p runner.Place) bool { return p.At == cmp.Or(a.To, f.stop.At) })
	if at < 0 {
		f.fail(fmt.Errorf("%s is no command of the buildspec", f.stop.At))
		return false, nil
	}
	clean, err := f.goBack(places, places[at].Phase)
	if err != nil {
		f.fail(err)
		return false, nil
	}
	clean.Plan = a.Plan
	return f.rewind(clean, func() { f.until = map[string]bool{} }) // it stops where it fails again
}

// reread returns the answer that runs the command of the stop with the buildspec as it is now. The
// command is found by its text, else by its number.
func (f *front) reread(ctx context.Context) (runner.Answer, error) {
	a := runner.Answer{Action: runner.ActionRetry}
	if f.Reload == nil {
		return a, nil
	}
	p, err := f.Reload(ctx)
	if err != nil {
		return a, err
	}
	f.mu.Lock()
	old := f.plan
	f.mu.Unlock()
	before, after := inPhase(old, f.stop.Phase), inPhase(p, f.stop.Phase)
	same := func(a, b runner.Place) bool { return a.At == b.At && a.Text == b.Text }
	if slices.EqualFunc(old.Places(), p.Places(), same) {
		return a, nil
	}
	f.printDiff(before, after)
	text, place := "", f.stop.At
	for _, c := range before {
		if c.At == place {
			text = c.Text
		}
	}
	byText := slices.IndexFunc(after, func(c runner.Place) bool { return c.Text == text && c.Finally == f.stop.Finally })
	byNumber := slices.IndexFunc(after, func(c runner.Place) bool { return c.At == place })
	switch {
	case byText >= 0:
		a.To = after[byText].At
	case byNumber < 0:
		return a, fmt.Errorf("the buildspec no longer has %s", place)
	}
	if a.To == place {
		a.To = ""
	}
	a.Plan = p
	f.change(func() { f.use(p) })
	return a, nil
}

// use makes a plan the one whose commands run. The lock is held.
func (d *Debugger) use(p *runner.Plan) {
	d.plan = p
	for i, b := range d.breaks {
		if at, _, err := p.Resolve(b.Where); err == nil {
			d.breaks[i].At = at
		}
	}
}

// inPhase returns the commands of a phase.
func inPhase(p *runner.Plan, phase runner.PhaseType) []runner.Place {
	return slices.DeleteFunc(p.Places(), func(c runner.Place) bool { return c.Phase != phase })
}

// printDiff shows which commands of a phase were added and removed.
func (f *front) printDiff(before, after []runner.Place) {
	has := func(all []runner.Place, text string) bool {
		return slices.ContainsFunc(all, func(c runner.Place) bool { return c.Text == text })
	}
	for _, c := range before {
		if !has(after, c.Text) {
			f.printLines("- ", c.Text, console.Bad)
		}
	}
	for _, c := range after {
		if !has(before, c.Text) {
			f.printLines("+ ", c.Text, console.Good)
		}
	}
}

// printLines prints the lines of a command after a mark.
func (f *front) printLines(mark, text string, span func(string) console.Span) {
	s := f.screen()
	for line := range strings.SplitSeq(strings.TrimRight(f.masked(text), "\n"), "\n") {
		s.Line(span(mark + line))
	}
}

// edit lets the user edit the command of the stop, and runs the new text.
func (f *front) edit(ctx context.Context, _ string) (bool, error) {
	if err := fits(f.stop.Stop, runner.ActionRetry); err != nil {
		f.fail(fmt.Errorf("edit is for a command, and the build is %s", Describe(f.stop.Stop)))
		return false, nil
	}
	text := f.stop.Text
	for _, c := range f.Plan().Places() {
		if c.At == f.stop.At {
			text = c.Text // not masked
		}
	}
	if last, edited := f.texts[f.stop.At]; edited {
		text = last
	}
	changed, err := f.editText(ctx, text)
	switch {
	case err != nil:
		f.fail(err)
		return false, nil
	case strings.TrimSpace(changed) == "":
		f.printf("an empty command is not run; skip leaves the command out")
		return false, nil
	case changed == text && f.stop.Failed():
		f.printf("the command has not changed; retry runs it again")
		return false, nil
	}
	f.mu.Lock()
	f.texts[f.stop.At], f.lastEdit = changed, f.stop.At
	f.mu.Unlock()
	return f.answer(runner.Answer{Action: runner.ActionRetry, Text: changed})
}

// editText returns a text after the user has edited it: in the editor, or on the prompt if this
// terminal cannot run one.
func (f *front) editText(ctx context.Context, text string) (string, error) {
	if !f.t.Local || f.Editor == nil {
		return f.typeText(ctx, text)
	}
	dir, err := os.MkdirTemp(f.TempDir, "edit-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "command.sh")
	const mine = 0o600
	if err := os.WriteFile(file, []byte(text), mine); err != nil {
		return "", err
	}
	if err := f.Editor(ctx, file); err != nil {
		return "", fmt.Errorf("run the editor: %w\nset VISUAL or EDITOR to another one", err)
	}
	changed, err := os.ReadFile(file)
	if err == nil && !strings.HasSuffix(text, "\n") {
		return strings.TrimSuffix(string(changed), "\n"), nil // editors add one
	}
	return string(changed), err
}

// typeText reads a text from the prompt, up to a line with a single dot.
func (f *front) typeText(ctx context.Context, text string) (string, error) {
	f.printf("type the command; a line with a single dot ends it, an empty text keeps the old one:")
	for line := range strings.Lines(text) {
		f.screen().Line(console.Weak("  " + strings.TrimRight(line, "\n")))
	}
	var all []string
	for {
		line, err := f.editor.readLine(ctx, "> ", func(string) []string { return nil })
		if err != nil {
			return "", errors.New("not edited")
		}
		if line == "." {
			break
		}
		all = append(all, line)
	}
	if len(all) == 0 {
		return text, nil
	}
	return strings.Join(all, "\n"), nil
}

// save writes the last edited command to the buildspec.
func (f *front) save(ctx context.Context, _ string) (bool, error) {
	f.mu.Lock()
	at, text := f.lastEdit, f.texts[f.lastEdit]
	places := f.plan.Places()
	f.mu.Unlock()
	i := slices.IndexFunc(places, func(p runner.Place) bool { return p.At == at })
	if f.Save == nil || i < 0 {
		f.fail(errors.New("no command was edited, or its buildspec is not a file"))
		return false, nil
	}
	if f.stop.Failed() && f.stop.At == at {
		f.fail(fmt.Errorf("the edited %s failed\nedit it again, or write the buildspec yourself", at))
		return false, nil
	}
	change, err := f.Save(places[i], text)
	if err != nil {
		f.fail(err)
		return false, nil
	}
	for line := range strings.Lines(change.Diff) {
		span := console.Plain
		switch line[0] {
		case '+':
			span = console.Good
		case '-':
			span = console.Bad
		}
		f.screen().Line(span(human.TrimStop(strings.TrimRight(line, "\n"))))
	}
	ok, err := f.ask(ctx, "Write this to the buildspec? [y/N] ")
	if err != nil || !ok {
		return false, err
	}
	if err := change.Apply(); err != nil {
		f.fail(err)
		return false, nil
	}
	f.printf("written")
	return false, nil
}
