package control

import (
	"errors"
	"io/fs"

	"github.com/buildlocal/buildlocal/engine"
	wire "github.com/buildlocal/buildlocal/internal/control"
)

// Methods of the calls.
const (
	methodStatus  = "status"
	methodAttach  = "attach"
	methodResume  = "resume"
	methodShell   = "shell"
	methodExec    = "exec"
	methodCopyIn  = "copy-in"
	methodCopyOut = "copy-out"
	methodDial    = "dial"
	methodSync    = "sync"
	methodChanges = "changes"
	methodDAP     = "dap"
)

// terminalParams is a terminal at the other end.
type terminalParams struct {
	Size wire.Size `json:"size"`
	Env  []string  `json:"env,omitempty"`
	Name string    `json:"name,omitempty"`
}

// attachParams are the parameters of attach.
type attachParams struct {
	Terminal    terminalParams `json:"terminal"`
	Watch, Take bool
}

// shellParams are the parameters of shell.
type shellParams struct {
	Terminal terminalParams `json:"terminal"`
	Request  ShellRequest   `json:"request"`
}

// execParams are the parameters of exec.
type execParams struct {
	Terminal *terminalParams `json:"terminal,omitempty"`
	Request  ExecRequest     `json:"request"`
}

// codes are the errors that clients recognize.
var codes = map[string]error{
	"not-found":   fs.ErrNotExist,
	"unsupported": engine.ErrUnsupported,
}

// codeRefused is the code of a Refusal.
const codeRefused = "refused"

// coded returns an error with its code, for a client.
func coded(err error) error {
	var refusal Refusal
	if errors.As(err, &refusal) {
		return &wire.Error{Code: codeRefused, Message: refusal.Message}
	}
	for code, known := range codes {
		if errors.Is(err, known) {
			return &wire.Error{Code: code, Message: err.Error()}
		}
	}
	return err
}

// decoded is the reverse of coded.
func decoded(err error) error {
	var sent *wire.Error
	switch {
	case !errors.As(err, &sent):
		return err
	case sent.Code == codeRefused:
		return Refusal{sent.Message}
	case codes[sent.Code] != nil:
		return knownError{sent.Message, codes[sent.Code]}
	}
	return err
}

// knownError has the message of another process, and wraps the error that it is about.
type knownError struct {
	message string
	is      error
}

// Error returns the message.
func (e knownError) Error() string { return e.message }

// Unwrap returns the error for errors.Is.
func (e knownError) Unwrap() error { return e.is }
