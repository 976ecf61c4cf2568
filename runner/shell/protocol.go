package shell

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The protocol has three streams:
//
//   - stdin carries requests, lines of shell that the driver evaluates. Each begins with a
//     key and its length, because processes of the build can write to the same stream.
//   - stdout carries the output of commands. A mark, an unguessable text between two
//     separators, ends the output of one command.
//   - stderr carries answers, one line each: the token that a script sends after it has
//     loaded the state, then the mark again with the exit status.
//
// A command has ended when its mark has arrived on both streams. Marks, tokens and the
// key are derived from the nonce, so a build that guesses none of them cannot forge an
// exit status.

// maxStray is the maximum length of the driver's own error output that is kept for
// messages, in bytes.
const maxStray = 2048

// separator, the ASCII record separator, begins and ends a mark.
const separator = "\x1e"

// The streams on which a mark arrives.
const (
	onStdout = iota
	onStderr
)

// before and after return the lines in front of a command's text, without the token
// between them. The text begins at line 4, as in the service. The token is sent after the
// state is loaded: an env.sh that was truncated does not set "complete" in its last line.
func (s *Session) before() string {
	return "set -a\n. " + s.config.State + "/env.sh\n[ \"$*\" = complete ] && printf '\\n%s\\n' "
}

func after() string {
	return " >&9 || exit 121; shift; exec 9>&-"
}

// PIDFile is the file of Config.State with the process ID of the last command's shell, see
// Config.PID.
const PIDFile = "pid.txt"

// previous returns text at the end of the third line, which keeps the state for Restore and the
// process ID, or "".
func (s *Session) previous() string {
	env, dir := s.config.State+"/env.prev.sh", s.config.State+"/dir.prev.txt"
	var lines string
	if s.config.Previous {
		lines = "{ command export -p && command echo set -- complete; } >|" + env + "; command pwd >|" + dir + "; "
	}
	if s.config.PID {
		lines += "command echo $$ >|" + s.config.State + "/" + PIDFile + "; "
	}
	if lines == "" {
		return ""
	}
	return "; { " + lines + "} 2>/dev/null"
}

// tail returns the lines after a command's text, which save the state. The first newline
// ends a text whose last line continues with a backslash. >| writes even if the command
// has set noclobber. dir.txt is empty until the variables are saved completely.
func (s *Session) tail() string {
	if !s.config.Keep {
		return "\nexit $?"
	}
	env, dir := s.config.State+"/env.sh", s.config.State+"/dir.txt"
	return "\nCODEBUILD_LAST_EXIT=$?\n>|" + dir +
		"\n{ command export -p && command echo set -- complete; } >|" + env +
		" && command pwd >|" + dir + "\nexit $CODEBUILD_LAST_EXIT"
}

// secret derives a value for a purpose from the nonce. It consists of letters, digits,
// hyphens and underscores, and reveals no other value.
func (s *Session) secret(purpose string) string {
	sum := hmac.New(sha256.New, []byte(s.config.Nonce))
	_, _ = io.WriteString(sum, purpose)
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:16])
}

// call returns the request to call a function of the driver.
func call(function string, arguments ...string) string {
	for _, a := range arguments {
		function += " " + Quote(a)
	}
	return function
}

// copyState returns the request to copy a file of the state, with builtins of the driver only.
func copyState(from, to string) string {
	return fmt.Sprintf(`regular %[1]s && regular %[2]s && { while IFS= read -r line || [ -n "$line" ]; `+
		`do printf '%%s\n' "$line"; done <"$d/%[1]s" >"$d/%[2]s" || full; }`, from, to)
}

// oneLine replaces newlines, which must all be in single quotes, by the driver's variable
// nl: the driver reads requests line by line.
func oneLine(command string) string { return strings.ReplaceAll(command, "\n", `'"$nl"'`) }

// Quote returns a shell word that expands to exactly text.
func Quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

type writerFunc func([]byte) error

func (f writerFunc) Write(p []byte) (int, error) {
	if err := f(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// readOutput forwards output of the running command, without the mark at its end.
func (s *Session) readOutput(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.held) > 0 {
		p = append(s.held, p...)
		s.held = nil
	}
	if s.wanted == nil || s.arrived[onStdout] {
		return s.print(p)
	}
	at := s.findMark(p)
	if at < 0 {
		return s.print(p)
	}
	if len(p)-at < len(s.wanted) {
		s.held = bytes.Clone(p[at:])
		return s.print(p[:at])
	}
	if err := s.print(p[:at]); err != nil {
		return err
	}
	rest := p[at+len(s.wanted):]
	s.note(onStdout)
	return s.print(rest)
}

// findMark returns the index of the mark in p, or of the end of p that may be the
// beginning of the mark; -1 without either.
func (s *Session) findMark(p []byte) int {
	for from := 0; ; from++ {
		at := bytes.IndexByte(p[from:], s.wanted[0])
		if at < 0 {
			return -1
		}
		from += at
		rest := p[from:]
		if bytes.HasPrefix(rest, s.wanted) || bytes.HasPrefix(s.wanted, rest) {
			return from
		}
	}
}

func (s *Session) print(p []byte) error {
	if len(p) == 0 || s.output == nil {
		return nil
	}
	_, err := s.output.Write(p)
	return err
}

// flush prints output that was held back. Call it when no mark can follow.
func (s *Session) flush() {
	_ = s.print(s.held)
	s.held = nil
}

// readControl parses the driver's answers, one line each: the token of a script that has
// begun, or the mark with the exit status and, if the status cannot be trusted, the
// reason. Any other line is an error message of the driver's shell.
func (s *Session) readControl(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.control = append(s.control, p...)
	for {
		line, rest, found := bytes.Cut(s.control, []byte("\n"))
		if !found {
			break
		}
		s.readAnswer(string(line))
		s.control = rest
	}
	if len(s.control) > maxStray {
		s.control = bytes.Clone(s.control[len(s.control)-maxStray:])
	}
	return nil
}

func (s *Session) readAnswer(line string) {
	mark, rest, _ := strings.Cut(line, " ")
	number, reason, _ := strings.Cut(rest, " ")
	exit, err := strconv.Atoi(number)
	switch {
	case line == "": // the driver ends a line that a process of the build may have begun
		return
	case s.wanted == nil || s.arrived[onStderr]:
	case line == s.token:
		s.began = true
		return
	case err == nil && separator+mark+separator == string(s.wanted):
		s.exit, s.fault = exit, s.checkStatus(exit, strings.TrimSpace(reason))
		s.note(onStderr)
		return
	}
	s.stray = append(append(s.stray, line...), '\n')
	if over := len(s.stray) - maxStray; over > 0 {
		s.stray = bytes.Clone(s.stray[over:])
	}
}

// checkStatus returns a *StateError if an exit status cannot be trusted, else nil. A
// script that exits with 0 without its token is not the script that the driver wrote.
func (s *Session) checkStatus(exit int, reason string) error {
	if reason == "" && exit == 0 && !s.began {
		reason = s.config.State + "/script.sh or env.sh was replaced before the command began"
	}
	if reason == "" {
		return nil
	}
	return &StateError{reason}
}

// note records that the mark has arrived on a stream. The command has ended when it has
// arrived on both, in any order.
func (s *Session) note(stream int) {
	s.arrived[stream] = true
	if s.arrived[onStdout] && s.arrived[onStderr] {
		s.wanted = nil
		s.output = s.config.Output
		close(s.finished)
	}
}
