package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner/shell"
)

// shellState owns the shells of a build: one of root, and one for each user that run-as
// names. They share the variables and the current directory.
type shellState struct {
	config   shell.Config // without Nonce and Later
	nonce    string
	sessions map[string]*shell.Session // by user; "" is root
}

func newShellState(r *Runner, p *Plan, rec *recorder) *shellState {
	return &shellState{
		nonce: r.Nonce, sessions: map[string]*shell.Session{},
		config: shell.Config{State: StateDir, Shell: p.Shell, Home: p.Sources[0].Path, Keep: p.Keep, Output: rec,
			Previous: r.KeepFailed != nil && r.Pause == nil, PID: r.Pause != nil},
	}
}

// create returns a session for a user. It is not used before add.
func (s *shellState) create(user string) *shell.Session {
	c := s.config
	c.Nonce, c.Later = s.nonce+strings.Map(alphanumeric, user), user != ""
	return shell.New(c)
}

func alphanumeric(r rune) rune {
	if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
		return r
	}
	return 'x'
}

// add makes a session the shell of a user.
func (s *shellState) add(user string, session *shell.Session) { s.sessions[user] = session }

// root returns the shell of root, which exists as soon as the container does.
func (s *shellState) root() *shell.Session { return s.sessions[""] }

// of returns the shell of a user.
func (s *shellState) of(user string) *shell.Session { return s.sessions[user] }

// capture runs text in root's shell without effect on the state.
func (s *shellState) capture(ctx context.Context, text string) (output string, exit int, err error) {
	return s.root().Capture(ctx, text)
}

// errExpand is wrapped by the error for a text that the build's shell cannot expand.
var errExpand = errors.New("the shell cannot expand it")

// expandError is the error for such a text.
type expandError struct{ text, printed string }

// Error returns the text and what the shell printed.
func (e *expandError) Error() string { return fmt.Sprintf("%s: %v: %s", e.text, errExpand, e.printed) }

// Unwrap returns errExpand.
func (e *expandError) Unwrap() error { return errExpand }

// expand returns text with its variables and commands expanded by the build's shell.
// Double quotes stay in the text, except inside $(...), where they belong to the command.
func (s *shellState) expand(ctx context.Context, text string) (string, error) {
	if !strings.ContainsAny(text, "$`") {
		return text, nil
	}
	quoted := text
	if !strings.Contains(text, "$(") && !strings.Contains(text, "`") {
		quoted = strings.NewReplacer(`\"`, `\"`, `"`, `\"`).Replace(text)
	}
	got, exit, err := s.capture(ctx, `printf %s "`+quoted+`"`)
	if err == nil && exit != 0 {
		return "", &expandError{text, lastLine(strings.TrimSpace(got))}
	}
	return got, err
}

func (s *shellState) expandAll(ctx context.Context, texts []string) ([]string, error) {
	all := make([]string, len(texts))
	for i, text := range texts {
		var err error
		if all[i], err = s.expand(ctx, text); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// variable returns the value of a variable after the commands so far, and whether it is
// set. A name that no shell can have is never set.
func (s *shellState) variable(ctx context.Context, name string) (value string, set bool, err error) {
	if !project.ValidName(name) {
		return "", false, nil
	}
	value, exit, err := s.capture(ctx, fmt.Sprintf(`[ -n "${%s+x}" ] && printf %%s "$%s"`, name, name))
	return value, err == nil && exit == 0, err
}

// architecture returns the container's architecture in the words of images, such as
// amd64, or "unknown".
func (s *shellState) architecture(ctx context.Context) (string, error) {
	printed, exit, err := s.capture(ctx, "uname -m")
	if err != nil || exit != 0 {
		return "unknown", err
	}
	machine := strings.TrimSpace(printed)
	if arch, known := map[string]string{"x86_64": "amd64", "aarch64": "arm64", "i686": "386"}[machine]; known {
		return arch, nil
	}
	return machine, nil
}
