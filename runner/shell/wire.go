package shell

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// strayLimit is how much of the driver's own last words is kept, in bytes.
const strayLimit = 2048

// head stands before a command's text, which begins at line 4.
func (s *Session) head() string {
	return "set -a\n. " + s.config.State + "/env.sh\n# The command begins on the next line, the fourth."
}

// tail stands after it and saves the state. The empty line ends a continued one;
// >| writes although the command may have forbidden to overwrite files.
func (s *Session) tail() string {
	if !s.config.Keep {
		return "\nexit $?"
	}
	return "\nCODEBUILD_LAST_EXIT=$?\nexport -p >|" + s.config.State + "/env.sh\npwd >|" +
		s.config.State + "/dir.txt\nexit $CODEBUILD_LAST_EXIT"
}

// request returns the call of a function of the driver that reads text.
func request(function, text, file string) string {
	text = strings.TrimSuffix(text, "\n")
	return fmt.Sprintf("%s %d %s\n%s\n", function, 1+strings.Count(text, "\n"), file, text)
}

// assign returns the line that sets a variable of the driver.
func assign(name, text string) string { return oneLine(name+"="+Quote(text)) + "\n" }

// oneLine puts a command of shell whose newlines are all in quotes into one line:
// the driver evaluates lines, and has a name for newlines.
func oneLine(command string) string { return strings.ReplaceAll(command, "\n", `'"$newline"'`) }

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

// readControl reads the driver's answers, a line each: the mark and the exit
// status. Anything else is the shell's own complaint.
func (s *Session) readControl(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.control = append(s.control, p...)
	for {
		line, rest, found := bytes.Cut(s.control, []byte("\n"))
		if !found {
			break
		}
		s.readAnswer(line)
		s.control = rest
	}
	if len(s.control) > strayLimit {
		s.control = bytes.Clone(s.control[len(s.control)-strayLimit:])
	}
	return nil
}

func (s *Session) readAnswer(line []byte) {
	mark, number, _ := strings.Cut(string(line), " ")
	exit, err := strconv.Atoi(number)
	if s.wanted != nil && err == nil && "\x1e"+mark+"\x1e" == string(s.wanted) && !s.heard[1] {
		s.exit = exit
		s.hear(1)
		return
	}
	s.stray = append(append(s.stray, line...), '\n')
	if over := len(s.stray) - strayLimit; over > 0 {
		s.stray = bytes.Clone(s.stray[over:])
	}
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
