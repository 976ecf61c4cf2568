package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
)

// jsonFailure is the last object of a command that failed, with --format json.
type jsonFailure struct {
	Version  int         `json:"version"`
	Event    string      `json:"event,omitempty"` // error, among the events of run
	ExitCode int         `json:"exitCode"`
	Errors   []jsonError `json:"errors"`
}

type jsonError struct {
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Check   string `json:"check,omitempty"`
}

// WriteErrorJSON prints an error as a JSON object on one line, for a program that reads the
// output of a command. As an event it follows those of run.
func (a *App) WriteErrorJSON(err error, event bool) error {
	failure := jsonFailure{Version: 1, ExitCode: ExitCode(err), Errors: jsonErrors(err)}
	if event {
		failure.Event = "error"
	}
	text, err := json.Marshal(failure)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.Raw.Out, diag.EscapeJSON(string(text)))
	return err
}

// CountErrors returns the number of errors that are joined in one, with each problem of a file.
func CountErrors(err error) int { return len(jsonErrors(err)) }

// jsonErrors returns the errors that are joined in one, each problem of a file separately.
func jsonErrors(err error) []jsonError {
	if parts := Parts(err); parts != nil {
		var all []jsonError
		for _, part := range parts {
			all = append(all, jsonErrors(part)...)
		}
		return all
	}
	var list diag.List
	if errors.As(err, &list) {
		var all []jsonError
		for _, p := range list {
			if p.Severity == diag.Error || !list.Failed() { // with --strict all count
				all = append(all, jsonError{p.Message, p.Hint, p.File, p.Line, p.Column, p.Name})
			}
		}
		return all
	}
	lines := strings.Split(strings.TrimRight(human.ErrorText(err), "\n"), "\n")
	e := jsonError{Message: strings.TrimPrefix(human.TrimStop(lines[0]), "error: ")}
	var hints []string
	for _, line := range lines[1:] {
		hints = append(hints, human.Clause(strings.TrimPrefix(strings.TrimSpace(line), "hint: ")))
	}
	e.Hint = strings.Join(hints, "\n")
	return []jsonError{e}
}
