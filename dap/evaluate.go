package dap

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-dap"

	"github.com/buildlocal/buildlocal/debugger"
)

// evaluate runs a text of the debug console: a command of the prompt after a colon, else of the shell.
// Everywhere else it only expands a variable, because hovering must run nothing.
func (s *session) evaluate(ctx context.Context, a dap.EvaluateArguments) (any, error) {
	r, err := s.current()
	if err != nil {
		return nil, err
	}
	if _, w, err := s.stopped(); err == nil && a.FrameId != 0 {
		if err := r.checkFrame(w, a.FrameId); err != nil {
			return nil, err
		}
	}
	if a.Context != "repl" && a.Context != "" {
		value, err := r.expand(ctx, strings.TrimSpace(a.Expression))
		return dap.EvaluateResponseBody{Result: value}, err
	}
	text := strings.TrimSpace(a.Expression)
	defer func() {
		r.variables.forget()
		if s.supports(func(c dap.InitializeRequestArguments) bool { return c.SupportsInvalidatedEvent }) {
			s.event("invalidated", dap.InvalidatedEventBody{Areas: []dap.InvalidatedAreas{"variables"}})
		}
	}()
	out := &lines{to: debugConsole{s, "stdout"}}
	defer out.flush()
	if line, command := strings.CutPrefix(text, ":"); command {
		return dap.EvaluateResponseBody{}, s.prompt(ctx, r, strings.TrimSpace(line), out)
	}
	if text == "" {
		return dap.EvaluateResponseBody{}, nil
	}
	return dap.EvaluateResponseBody{}, r.guest.Run(ctx, text, out)
}

// prompt carries out a command of the prompt. A shell is opened in a terminal of the editor.
func (s *session) prompt(ctx context.Context, r *run, line string, out *lines) error {
	if line != "shell" && line != "s" {
		_, w, err := s.stopped()
		if err != nil {
			return err
		}
		return r.guest.Do(ctx, w, line, out)
	}
	words := s.Shell(r.build.Build)
	if !s.supports(func(c dap.InitializeRequestArguments) bool { return c.SupportsRunInTerminalRequest }) {
		_, _ = fmt.Fprintf(out, "type in a terminal: %s\n", strings.Join(words, " "))
		return nil
	}
	dir := filepath.Dir(r.build.Source.Path)
	return s.call(ctx, "runInTerminal", dap.RunInTerminalRequestArguments{
		Kind: "integrated", Title: r.title(), Cwd: dir, Args: words,
	})
}

// lines passes complete lines on, so that an editor does not show parts of them. The rest is passed on in
// the end.
type lines struct {
	to   debugConsole
	rest []byte
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	end := slices.Index(l.rest, '\n')
	for i, b := range l.rest {
		if b == '\n' {
			end = i
		}
	}
	if end >= 0 {
		_, _ = l.to.Write(l.rest[:end+1])
		l.rest = append([]byte{}, l.rest[end+1:]...)
	}
	return len(p), nil
}

// flush passes the rest on.
func (l *lines) flush() {
	if len(l.rest) > 0 {
		_, _ = l.to.Write(append(l.rest, '\n'))
	}
}

// Forms of a variable. An expansion with an operator may contain anything that runs no command, and no
// other variable.
var (
	variableForm = sync.OnceValue(func() *regexp.Regexp {
		const name = `([A-Za-z_][A-Za-z0-9_]*)`
		return regexp.MustCompile(`^(?:\$` + name + `|\$\{` + name + `\}|` + name + `)$`)
	})
	expansionForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile("^\\$\\{#?([A-Za-z_][A-Za-z0-9_]*)[^$`\"\\\\{}()<>;&|]*\\}$")
	})
)

// expand returns the value of a variable, or of an expansion such as ${NAME%.txt}.
func (r *run) expand(ctx context.Context, text string) (string, error) {
	if w, _, _ := r.guest.State(); w == nil {
		return "", debugger.ErrRunning
	}
	all, _, err := r.get(ctx)
	if err != nil {
		return "", err
	}
	name, plain := "", variableForm().FindStringSubmatch(text)
	expansion := expansionForm().FindStringSubmatch(text)
	switch {
	case plain != nil:
		name = plain[1] + plain[2] + plain[3]
	case expansion != nil:
		name = expansion[1]
	default:
		return "", errors.New("only $NAME and ${NAME...} are looked up here; the debug console runs commands")
	}
	at := slices.IndexFunc(all, func(v debugger.Variable) bool { return v.Name == name })
	switch {
	case at >= 0 && (plain != nil || all[at].Secret): // a part of a secret is one
		return all[at].Value, nil
	case plain != nil:
		return "", fmt.Errorf("%s is not set", name)
	}
	value, err := r.guest.Expand(ctx, text)
	return r.mask(value), err
}

// completions returns the possible ends of a line of the debug console: commands of the prompt after a
// colon, else variables after $, and files.
func (s *session) completions(ctx context.Context, a dap.CompletionsArguments) (any, error) {
	body := dap.CompletionsResponseBody{Targets: []dap.CompletionItem{}}
	r, _, err := s.stopped()
	if err != nil {
		return body, nil
	}
	text := []rune(a.Text)
	origin := 0 // of columns
	if s.supports(func(c dap.InitializeRequestArguments) bool { return c.ColumnsStartAt1 }) {
		origin = 1
	}
	line := string(text[:min(max(0, a.Column-origin), len(text))])
	add := func(kind dap.CompletionItemType, word string, names ...string) {
		for _, name := range names {
			if !strings.HasPrefix(name, word) || name == "" {
				continue
			}
			length := len([]rune(word))
			body.Targets = append(body.Targets, dap.CompletionItem{
				Label: name, Text: name, Type: kind, Start: origin + len([]rune(line)) - length, Length: length,
			})
		}
	}
	if prompt, is := strings.CutPrefix(line, ":"); is {
		add("keyword", prompt[strings.LastIndexByte(prompt, ' ')+1:], r.guest.Complete(prompt)...)
		return body, nil
	}
	word := line[strings.LastIndexAny(line, " \t;|&<>\"'=(")+1:]
	if at := strings.LastIndexAny(word, "${"); at >= 0 {
		all, _, err := r.get(ctx)
		if err != nil {
			return nil, err
		}
		for _, v := range all {
			add("variable", word[at+1:], v.Name)
		}
		return body, nil
	}
	add("file", word, r.guest.Files(ctx, word)...)
	return body, nil
}
