package debugger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner"
)

// command is a command of the prompt.
type command struct {
	name, short string
	args        string // for the help; "" for none
	help        string
	// run carries the command out. done ends the stop's dialog: an answer was given, or the user
	// has left.
	run func(f *front, ctx context.Context, args string) (done bool, err error)
}

// commands are the commands of the prompt, in the order of the help. It is a function, because the
// help is one of them.
func commands() []command {
	return []command{
		{"continue", "c", "", "go on as the buildspec says; a failure remains one", (*front).goOn},
		{"next", "n", "", "run this command and stop again", (*front).next},
		{"step", "", "", "run the next statement of this command, in bash", (*front).stepInto},
		{"until", "u", "WHERE", "run until a place", (*front).runUntil},
		{"retry", "r", "[--clean]", "read the buildspec again, sync the source and run the command again;" +
			" --clean restores the snapshot before its phase", (*front).retry},
		{"edit", "e", "", "edit the command and run it; the buildspec is not changed", (*front).edit},
		{"save", "", "", "write the edited command to the buildspec", (*front).save},
		{"skip", "k", "", "do not run this command", (*front).skip},
		{"ignore", "i", "", "treat the failure as a success", (*front).ignore},
		{"goto", "g", "WHERE", "go on at another command", (*front).jump},
		{"shell", "s", "", "open a shell with the variables and in the directory of the next command", (*front).shell},
		{"!", "", "TEXT", "run a shell command beside the build; !! TEXT keeps its variables and directory", nil},
		{"env", "v", "[NAME...]", "show variables; --show also shows secrets", (*front).env},
		{"set", "", "NAME=VALUE", "set a variable of the build", (*front).set},
		{"unset", "", "NAME", "unset a variable of the build", (*front).unset},
		{"cd", "", "DIR", "change the directory of the next command", (*front).cd},
		{"where", "w", "", "show which commands have run", (*front).where},
		{"list", "l", "", "show the commands around this one", (*front).list},
		{"output", "o", "[LINES]", "show the output of the last command", (*front).output},
		{"files", "f", "[all]", "show the files that the last command, its phase or the build has changed", (*front).files},
		{"break", "b", "[WHERE]", "add a breakpoint, or list them", (*front).addBreak},
		{"delete", "d", "NUMBER", "remove a breakpoint", (*front).deleteBreak},
		{"sync", "y", "", "copy changed files of the source into the build", (*front).sync},
		{"explain", "x", "", "show why the command failed", (*front).explain},
		{"detach", "D", "", "leave; the build waits for buildlocal attach", (*front).detach},
		{"abort", "q", "", "stop the build", (*front).abort},
		{"help", "h", "", "show this list; also ?", (*front).help},
	}
}

// repeatable are the commands that an empty line repeats.
var repeatable = []string{"next", "step", "list"}

// find returns the command of a word: its name, its short form or a unique prefix. The error names
// the commands that begin with the word.
func find(word string) (command, error) {
	var found []command
	for _, c := range commands() {
		switch {
		case c.name == "abort" && word == "quit": // as in other debuggers
			return c, nil
		case c.name == word, c.short != "" && c.short == word, c.name == "help" && word == "?":
			return c, nil
		case strings.HasPrefix(c.name, word):
			found = append(found, c)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return command{}, fmt.Errorf("no command %s; help lists them, and ! %s runs it in the build", word, word)
	}
	var names []string
	for _, c := range found {
		names = append(names, c.name)
	}
	return command{}, fmt.Errorf("%s could be %s", word, strings.Join(names, ", "))
}

// execute carries out a line. done ends the dialog of this stop.
func (f *front) execute(ctx context.Context, line string) (done bool, err error) {
	if line == "" {
		line = f.again
	}
	f.again = ""
	if text, beside := strings.CutPrefix(line, "!"); beside {
		text, keep := strings.CutPrefix(text, "!")
		return false, f.runText(ctx, strings.TrimSpace(text), keep)
	}
	word, args, _ := strings.Cut(line, " ")
	if word == "" {
		return false, nil
	}
	c, err := find(word)
	if err != nil {
		f.fail(err)
		return false, nil
	}
	if slices.Contains(repeatable, c.name) {
		f.again = c.name
	}
	return c.run(f, ctx, strings.TrimSpace(args))
}

// fail prints an error.
func (f *front) fail(err error) {
	if f.failed != nil {
		f.failed(errors.New(f.masked(err.Error())))
		return
	}
	s := f.screen()
	for i, line := range strings.Split(f.masked(err.Error()), "\n") {
		label := console.Bad("error:")
		if i > 0 {
			label = console.Accent("hint:")
		}
		s.Paragraph(line, label)
	}
}

// masked masks the secrets in a text.
func (f *front) masked(text string) string { return f.live.Mask(text) }

// answer answers the stop.
func (f *front) answer(a runner.Answer) (bool, error) { return f.answerWith(a, nil) }

// answerWith answers the stop, and changes the state of the debugger unless another front end was faster.
func (f *front) answerWith(a runner.Answer, change func()) (bool, error) {
	if err := f.reply(f.stop, answered{a, f.t.Name}, change); err != nil {
		f.fail(err)
		return false, nil
	}
	return true, nil
}

func (f *front) goOn(_ context.Context, _ string) (bool, error) {
	return f.answer(runner.Answer{Action: runner.ActionContinue})
}

func (f *front) skip(_ context.Context, _ string) (bool, error) {
	return f.answer(runner.Answer{Action: runner.ActionSkip})
}

func (f *front) ignore(_ context.Context, _ string) (bool, error) {
	return f.answer(runner.Answer{Action: runner.ActionIgnore})
}

func (f *front) abort(_ context.Context, _ string) (bool, error) {
	return f.answer(runner.Answer{Action: runner.ActionAbort})
}

func (f *front) detach(_ context.Context, _ string) (bool, error) {
	f.printf("the build waits; buildlocal attach %s returns to it", f.Build)
	return true, ErrDetached
}

// next stops before the next command, or amid a command that is stepped through before the next
// statement that is not in a function. A failed command is left as it is.
func (f *front) next(_ context.Context, _ string) (bool, error) {
	return f.stepTo(f.stop.Depth, f.stop.Reason == runner.AtStatement)
}

// stepInto stops before the next statement, which may be in a function.
func (f *front) stepInto(_ context.Context, _ string) (bool, error) {
	into := f.stop.Reason == runner.BeforeCommand || f.stop.Reason == runner.AtStatement
	return f.stepTo(anyDepth, into)
}

// stepOut stops after the current function or subshell, or else before the next command.
func (f *front) stepOut(_ context.Context, _ string) (bool, error) {
	return f.stepTo(f.stop.Depth-1, f.stop.Reason == runner.AtStatement)
}

// anyDepth is deeper than any statement.
const anyDepth = 1 << 30

// stepTo stops before the next command, or before the next statement up to a depth.
func (f *front) stepTo(depth int, into bool) (bool, error) {
	a := runner.Answer{Action: runner.ActionContinue, Into: into}
	return f.answerWith(a, func() { f.step, f.depth = true, depth })
}

// resolve returns the places that a text names in the plan.
func (f *front) resolve(text string) ([]string, error) {
	w, err := runner.ParseWhere(text)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	at, _, err := f.plan.Resolve(w)
	return at, err
}

func (f *front) runUntil(_ context.Context, args string) (bool, error) {
	at, err := f.resolve(args)
	if err == nil && at == nil {
		err = fmt.Errorf("%s is not a place in the buildspec; break %s stops there", args, args)
	}
	if err != nil {
		f.fail(err)
		return false, nil
	}
	return f.answerWith(runner.Answer{Action: runner.ActionContinue}, func() {
		for _, place := range at {
			f.until[place] = true
		}
	})
}

func (f *front) addBreak(_ context.Context, args string) (bool, error) {
	if args == "" {
		f.printBreaks()
		return false, nil
	}
	b, note, err := f.Break(args)
	if err != nil {
		f.fail(fmt.Errorf("break %s: %w", args, err))
		return false, nil
	}
	text := fmt.Sprintf("breakpoint %d: %s", b.ID, b.Text)
	if len(b.At) > 0 && strings.Join(b.At, " ") != b.Text {
		text += " (" + strings.Join(b.At, ", ") + ")"
	}
	f.printf("%s", text)
	if note != "" {
		f.printf("note: %s", note)
	}
	return false, nil
}

// printBreaks lists the breakpoints.
func (f *front) printBreaks() {
	all := f.Breaks()
	if len(all) == 0 {
		f.printf("no breakpoints; break build:2 sets one")
		return
	}
	t := console.Table{Columns: make([]console.Column, 4), NoHead: true}
	for _, b := range all {
		condition := ""
		if b.Condition != "" {
			condition = "if " + b.Condition
		}
		t.Add(console.Strong(strconv.Itoa(b.ID)), console.Plain(b.Text), console.Weak(strings.Join(b.At, ", ")),
			console.Plain(condition))
	}
	f.screen().Table(t)
}

func (f *front) deleteBreak(_ context.Context, args string) (bool, error) {
	id, err := strconv.Atoi(args)
	if err != nil || !f.Delete(id) {
		f.fail(fmt.Errorf("there is no breakpoint %s; break lists them", args))
	}
	return false, nil
}

func (f *front) help(_ context.Context, _ string) (bool, error) {
	t := console.Table{Columns: []console.Column{{}, {}, {Fit: console.FitWrap}}, NoHead: true}
	for _, c := range commands() {
		t.Add(console.Accent(c.short), console.Strong(strings.TrimSpace(c.name+" "+c.args)), console.Plain(c.help))
	}
	s := f.screen()
	s.Table(t)
	s.Line(console.Weak("A unique beginning of a command is enough."))
	s.Line(console.Weak("WHERE is build, build:2, build:end, :14 or /text/."))
	return false, nil
}

// words returns the possible completions of the last word of a line.
func (f *front) words(line string) []string {
	last := lastWord(line)
	var all []string
	if last == line {
		for _, c := range commands() {
			all = append(all, c.name)
		}
	} else {
		switch c, _ := find(strings.Fields(line)[0]); c.name {
		case "env", "unset", "set":
			all = f.names()
		case "until", "goto", "break":
			for _, p := range f.Plan().Places() {
				all = append(all, p.At)
			}
			all = append(all, "failure", "breakpoint", "timeout", "upload_artifacts", "end")
		}
	}
	return slices.DeleteFunc(all, func(word string) bool { return !strings.HasPrefix(word, last) })
}

// names returns the names of the build's variables.
func (f *front) names() []string {
	state, err := f.live.State(context.Background(), f.stop.Breakpoint)
	if err != nil {
		return nil
	}
	var all []string
	for _, v := range state.Variables {
		all = append(all, v.Name)
	}
	slices.Sort(all)
	return all
}

// lastWord returns the part of a line after its last space.
func lastWord(line string) string { return line[strings.LastIndexByte(line, ' ')+1:] }

// joinWords joins the possible completions of a word.
func joinWords(words []string) string {
	const most = 40
	text := strings.Join(words[:min(most, len(words))], "  ")
	if len(words) > most {
		text += "  and " + human.Count(len(words)-most, "other")
	}
	return text
}

// containsFold reports whether a text contains another one, regardless of case.
func containsFold(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}
