package terminal_test

import (
	"bytes"
	"testing"

	"github.com/buildlocal/buildlocal/internal/terminal"
)

// env returns a function that returns the values of a map.
func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestSettings_FirstColorCounts(t *testing.T) {
	t.Parallel()
	ci := map[string]string{"CI": "true", "GITHUB_ACTIONS": "true"}
	for name, test := range map[string]struct {
		mode           string
		env            map[string]string
		terminal, pipe bool
	}{
		"usual":            {env: map[string]string{"TERM": "xterm"}, terminal: true},
		"dumb":             {env: map[string]string{"TERM": "dumb"}},
		"CI":               {env: ci},
		"CI, always":       {mode: terminal.Always, env: ci, terminal: true, pipe: true},
		"never":            {mode: terminal.Never, env: map[string]string{"TERM": "xterm", "FORCE_COLOR": "1"}},
		"NO_COLOR":         {env: map[string]string{"TERM": "xterm", "NO_COLOR": "1", "FORCE_COLOR": "1"}},
		"FORCE_COLOR":      {env: map[string]string{"FORCE_COLOR": "1"}, terminal: true, pipe: true},
		"no FORCE_COLOR":   {env: map[string]string{"TERM": "xterm", "FORCE_COLOR": "false"}},
		"CLICOLOR_FORCE":   {env: map[string]string{"CLICOLOR_FORCE": "1"}, terminal: true, pipe: true},
		"CLICOLOR is zero": {env: map[string]string{"TERM": "xterm", "CLICOLOR": "0"}},
	} {
		s := terminal.Settings{Env: env(test.env), ColorMode: test.mode}
		if onTerminal, onPipe := s.Color(true), s.Color(false); onTerminal != test.terminal || onPipe != test.pipe {
			t.Errorf("%s: on a terminal %t, else %t; want %t and %t", name, onTerminal, onPipe, test.terminal, test.pipe)
		}
	}
}

func TestSettings_InCI(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mode, name, value string
		want              bool
	}{
		{"", "CI", "true", true}, {"auto", "CI", "1", true}, {"", "CI", "false", false}, {"", "HOME", "/", false},
		{"", "GITLAB_CI", "true", true}, {"", "TF_BUILD", "True", true}, {"off", "CI", "true", false},
		{"github", "HOME", "/", true},
	} {
		s := terminal.Settings{Env: env(map[string]string{test.name: test.value}), CIMode: test.mode}
		if got := s.InCI(); got != test.want {
			t.Errorf("--ci %q and %s=%s: %t, want %t", test.mode, test.name, test.value, got, test.want)
		}
	}
}

func TestSettings_ColumnsWithoutTerminal(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int{"": 80, "132": 132, "-1": 80, "wide": 80} {
		s := terminal.Settings{Env: env(map[string]string{"COLUMNS": value})}
		if got := s.Columns(&bytes.Buffer{}); got != want {
			t.Errorf("COLUMNS=%s: %d, want %d", value, got, want)
		}
	}
}
