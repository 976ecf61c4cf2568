package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
)

func TestPrintError_Labels(t *testing.T) {
	t.Parallel()
	problems := diag.List{{Severity: diag.Error, File: "b.yml", Line: 1, Message: "bad"}}
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"plain":          {errors.New("pull x: no such host"), "error: pull x: no such host\n"},
		"hint":           {errors.New("a\nSet B to C."), "error: a\nhint: set B to C\n"},
		"directory":      {errors.New("no file in .\nSee ../.."), "error: no file in .\nhint: see ../..\n"},
		"name in a hint": {errors.New("a\nTMPDIR is full"), "error: a\nhint: TMPDIR is full\n"},
		"joined":         {errors.Join(errors.New("a"), errors.New("b\nDo c")), "error: a\nerror: b\nhint: do c\n"},
		"two wrapped":    {fmt.Errorf("%w (%w)", errors.New("a"), errors.New("b")), "error: a (b)\n"},
		"problems":       {problems, "b.yml:1: error: bad\n"},
		"mixed":          {errors.Join(errors.New("a"), problems), "error: a\nb.yml:1: error: bad\n"},
		"command": {fmt.Errorf("run x: %w", &exec.ExitError{ProcessState: &os.ProcessState{}}),
			"error: run x: exit status 0\n"},
		"control": {errors.New("a\x1b[2Jb"), "error: a\\x1b[2Jb\n"},
	} {
		var stderr bytes.Buffer
		a := &App{Stdout: &stderr, Stderr: &stderr}
		a.LookupEnv = func(string) (string, bool) { return "", false }
		a.Open(t.Context())
		a.PrintError(test.err)
		if got := stderr.String(); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestExitCode_ByType(t *testing.T) {
	t.Parallel()
	list := diag.List{{Severity: diag.Error, Message: "bad"}}
	for name, test := range map[string]struct {
		err  error
		want int
	}{
		"none":            {nil, 0},
		"usage":           {Usagef("x"), 2},
		"usage and list":  {JoinErrors([]error{list, Usagef("x")}), 2},
		"problems":        {fmt.Errorf("a: %w", list), 3},
		"input":           {local.NewInputError(errors.New("x")), 3},
		"anything else":   {errors.New("usage error"), 4},
		"reading timeout": {local.ErrReadTimeout, 5},
		"stopped":         {runner.ErrStopped, 130},
		"terminated":      {runner.ErrTerminated, 143},
		"reported":        {ExitError{7}, 7},
	} {
		if got := ExitCode(test.err); got != test.want {
			t.Errorf("%s: got %d, want %d", name, got, test.want)
		}
	}
}
