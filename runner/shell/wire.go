package shell

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"strconv"
	"strings"
)

// strayLimit is how much of the driver's own last words is kept, in bytes.
const strayLimit = 2048

// before and after are the lines that precede a command's text, which begins at line
// 4, around the token that is sent once the state is loaded. An incomplete env.sh does
// not end with the setting of "complete".
func (s *Session) before() string {
	return "set -a\n. " + s.config.State + "/env.sh\n[ \"$*\" = complete ] && printf '\\n%s\\n' "
}

func after() string {
	return " >&9 || exit 121; shift; exec 9>&-"
}

// tail follows the text and saves the state. The empty line ends a continued one; >|
// writes although the command may have set noclobber. An empty dir.txt means that the
// state was not saved completely.
func (s *Session) tail() string {
	if !s.config.Keep {
		return "\nexit $?"
	}
	env, dir := s.config.State+"/env.sh", s.config.State+"/dir.txt"
	return "\nCODEBUILD_LAST_EXIT=$?\n>|" + dir +
		"\n{ command export -p && command echo set -- complete; } >|" + env +
		" && command pwd >|" + dir + "\nexit $CODEBUILD_LAST_EXIT"
}

// secret derives a value from the nonce that no other value reveals: letters, digits,
// hyphens and underscores.
func (s *Session) secret(purpose string) string {
	sum := hmac.New(sha256.New, []byte(s.config.Nonce))
	_, _ = io.WriteString(sum, purpose)
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:16])
}

// call returns the request that calls a function of the driver.
func call(function string, arguments ...string) string {
	for _, a := range arguments {
		function += " " + Quote(a)
	}
	return function
}

// oneLine puts a command of shell whose newlines are all in quotes into one line:
// the driver evaluates lines, and has a name for newlines.
func oneLine(command string) string { return strings.ReplaceAll(command, "\n", `'"$nl"'`) }

// Quote returns text as one word of shell that stands for it, byte for byte.
func Quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

type writerFunc func([]byte) error

func (f writerFunc) Write(p []byte) (int, error) {
	if err := f(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// readOutput passes p on and takes out the mark that ends a command.
func (s *Session) readOutput(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.held) > 0 {
		p = append(s.held, p...)
		s.held = nil
	}
	if s.wanted == nil || s.heard[0] {
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
	s.hear(0)
	return s.print(rest)
}

// findMark returns where the mark, or the end of p that may become it, begins.
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

// flush prints what was held back: no mark will follow.
func (s *Session) flush() {
	_ = s.print(s.held)
	s.held = nil
}

// readControl reads the driver's answers, a line each: the token of a script that has
// begun; the mark, the exit status and, if it cannot be trusted, the reason. Anything
// else is the shell's own complaint.
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
	if len(s.control) > strayLimit {
		s.control = bytes.Clone(s.control[len(s.control)-strayLimit:])
	}
	return nil
}

func (s *Session) readAnswer(line string) {
	mark, rest, _ := strings.Cut(line, " ")
	number, reason, _ := strings.Cut(rest, " ")
	exit, err := strconv.Atoi(number)
	switch {
	case line == "": // precedes an answer, after whatever a process of the build wrote
		return
	case s.wanted == nil || s.heard[1]:
	case line == s.token:
		s.began = true
		return
	case err == nil && "\x1e"+mark+"\x1e" == string(s.wanted):
		s.exit, s.fault = exit, s.judge(exit, strings.TrimSpace(reason))
		s.hear(1)
		return
	}
	s.stray = append(append(s.stray, line...), '\n')
	if over := len(s.stray) - strayLimit; over > 0 {
		s.stray = bytes.Clone(s.stray[over:])
	}
}

// judge returns why an exit status cannot be trusted, or nil.
func (s *Session) judge(exit int, reason string) error {
	if reason == "" && exit == 0 && !s.began {
		reason = s.config.State + "/script.sh or env.sh was replaced before the command began"
	}
	if reason == "" {
		return nil
	}
	return &StateError{reason}
}

// hear notes that the mark (0) or the status (1) came; with both the command
// is over.
func (s *Session) hear(which int) {
	s.heard[which] = true
	if s.heard[0] && s.heard[1] {
		s.wanted = nil
		s.output = s.config.Output
		close(s.finished)
	}
}
