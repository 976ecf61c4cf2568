package debugger

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/buildlocal/buildlocal/console"
)

// Terminal is the terminal of a user: that of the build, or one that was attached.
type Terminal struct {
	In      io.Reader
	Out     io.Writer
	Size    func() (columns, rows int)
	Resized <-chan struct{} // receives after the size has changed; may be nil
	// Raw switches the terminal to raw mode until restore is called. It is nil for a terminal that
	// is always in raw mode.
	Raw   func() (restore func(), err error)
	Look  console.Options // colors and signs
	Env   []string        // of programs on this terminal, such as TERM
	Name  string          // for other users of the build
	Local bool            // it is that of the build: failures are on it already, and it can run an editor
}

// Errors of a front end.
var (
	errCanceled = errors.New("canceled")
	errHangup   = errors.New("the terminal is gone")
	errTwice    = errors.New("Ctrl-C was pressed twice")
)

// Control characters.
const (
	ctrlC = 0x03
	ctrlE = 0x05
	ctrlR = 0x12
	ctrlU = 0x15
)

// input reads a terminal in a goroutine of its own, so that a reader can give up without taking
// bytes from the next one. It reads only on demand, so that an editor gets the keys typed for it.
type input struct {
	want  chan struct{}
	bytes chan []byte
	gone  chan struct{} // closed when the terminal has ended

	mu      sync.Mutex // one reader at a time
	rest    []byte
	pending bool // a read was started whose bytes have not been taken
}

func newInput(r io.Reader) *input {
	in := &input{want: make(chan struct{}, 1), bytes: make(chan []byte, 1), gone: make(chan struct{})}
	go func() {
		defer close(in.gone)
		for range in.want {
			const most = 4096
			buffer := make([]byte, most)
			n, err := r.Read(buffer)
			if n > 0 {
				in.bytes <- buffer[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	return in
}

// close ends the goroutine, at the latest when the terminal ends.
func (in *input) close() { close(in.want) }

// read reads bytes until ctx is done.
func (in *input) read(ctx context.Context, p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.rest) == 0 {
		if !in.pending {
			in.pending = true
			in.want <- struct{}{}
		}
		select {
		case in.rest = <-in.bytes:
			in.pending = false
		case <-in.gone:
			return 0, errHangup
		case <-ctx.Done():
			return 0, errCanceled
		}
	}
	n := copy(p, in.rest)
	in.rest = in.rest[n:]
	return n, nil
}

// reader is an input as an io.Reader until ctx is done.
type reader struct {
	ctx context.Context
	in  *input
}

// Read implements io.Reader.
func (r reader) Read(p []byte) (int, error) { return r.in.read(r.ctx, p) }

// lineEditor reads lines with history and completion. golang.org/x/term works on any stream,
// which other packages for this do not: a prompt may be on the terminal of another process.
type lineEditor struct {
	t     *Terminal
	in    *input
	term  *term.Terminal
	lines *lines
	now   func() time.Time

	ctx     context.Context // of the current ReadLine
	pressed time.Time       // when Ctrl-C was pressed last
	search  string          // the text that Ctrl-R looks for
	found   int             // how many lines Ctrl-R has skipped
	listing sync.WaitGroup  // completions that are being printed
}

// newLineEditor returns an editor whose completions complete a line.
func newLineEditor(t *Terminal, in *input, h History, now func() time.Time) *lineEditor {
	e := &lineEditor{t: t, in: in, lines: newLines(h), now: now, found: -1}
	return e
}

// Write implements io.Writer for the terminal.
func (e *lineEditor) Write(p []byte) (int, error) { return e.t.Out.Write(p) }

// Read implements io.Reader for the terminal. Ctrl-C clears the line; the second one within two
// seconds ends reading.
func (e *lineEditor) Read(p []byte) (int, error) {
	const soon = 2 * time.Second
	one := make([]byte, 1)
	if n, err := e.in.read(e.ctx, one); n == 0 || err != nil {
		return 0, err
	}
	if one[0] != ctrlC {
		e.pressed = time.Time{}
		p[0] = one[0]
		return 1, nil
	}
	if now := e.now(); e.pressed.IsZero() || now.Sub(e.pressed) > soon {
		e.pressed = now
		return copy(p, []byte{ctrlE, ctrlU}), nil
	}
	return 0, errTwice
}

// readLine shows a prompt and returns the line that the user types. The error is errCanceled,
// errHangup, errTwice, or io.EOF for Ctrl-D.
func (e *lineEditor) readLine(ctx context.Context, prompt string, complete func(line string) []string) (string, error) {
	e.ctx, e.pressed, e.found = ctx, time.Time{}, -1
	if e.t.Raw != nil {
		restore, err := e.t.Raw()
		if err != nil {
			return "", err
		}
		defer restore()
	}
	// A new terminal for each line: the old one would read its Ctrl-D again.
	e.term = term.NewTerminal(e, "")
	e.term.History = e.lines
	e.resize()
	resizing, done := context.WithCancel(ctx)
	defer done()
	go e.follow(resizing)
	e.term.SetPrompt(prompt)
	e.term.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		return e.key(line, pos, key, complete)
	}
	line, err := e.term.ReadLine()
	e.listing.Wait()
	if errors.Is(err, term.ErrPasteIndicator) {
		err = nil
	}
	if err != nil {
		_, _ = io.WriteString(e.t.Out, "\r\n")
	}
	return line, err
}

// resize gives the editor the size of the terminal.
func (e *lineEditor) resize() {
	const fewest = 20
	columns, rows := e.t.Size()
	_ = e.term.SetSize(max(fewest, columns), max(1, rows))
}

// follow follows the size of the terminal.
func (e *lineEditor) follow(ctx context.Context) {
	for {
		select {
		case _, open := <-e.t.Resized:
			if !open {
				return
			}
			e.resize()
		case <-ctx.Done():
			return
		}
	}
}

// key handles Tab and Ctrl-R; the editor handles all other keys.
func (e *lineEditor) key(line string, pos int, key rune, complete func(string) []string) (string, int, bool) {
	switch key {
	case '\t':
		if pos != len(line) {
			return "", 0, false
		}
		return e.complete(line, complete(line))
	case ctrlR:
		if e.found < 0 {
			e.search = line
		}
		if found, at := e.lines.find(e.search, e.found+1); at >= 0 {
			e.found = at
			return found, len(found), true
		}
		return line, pos, true
	}
	e.found = -1
	return "", 0, false
}

// complete completes the last word of a line, or shows the possible words.
func (e *lineEditor) complete(line string, words []string) (string, int, bool) {
	if len(words) == 0 {
		return line, len(line), true
	}
	start := len(line) - len(lastWord(line))
	common := words[0]
	for _, w := range words[1:] {
		for len(common) > 0 && (len(w) < len(common) || w[:len(common)] != common) {
			common = common[:len(common)-1]
		}
	}
	if len(words) == 1 {
		common += " "
	} else if len(common) <= len(line)-start {
		e.listing.Go(func() { _, _ = io.WriteString(e.term, joinWords(words)+"\n") }) // the lock is held
	}
	line = line[:start] + common
	return line, len(line), true
}

// lines is the history of a prompt, with the lines of earlier sessions.
type lines struct {
	mu   sync.Mutex
	all  []string // the oldest first
	keep History
	hide func(line string) bool // lines that are not kept; may be nil
}

func newLines(h History) *lines {
	l := &lines{keep: h}
	if h != nil {
		l.all = h.Load()
	}
	return l
}

// Add implements term.History.
func (l *lines) Add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if line == "" || len(l.all) > 0 && l.all[len(l.all)-1] == line || l.hide != nil && l.hide(line) {
		return
	}
	l.all = append(l.all, line)
	if l.keep != nil {
		l.keep.Append(line)
	}
}

// Len implements term.History.
func (l *lines) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}

// At implements term.History: index 0 is the newest line.
func (l *lines) At(i int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[len(l.all)-1-i]
}

// find returns the newest line that contains a text, after skipping some, and its index as of At.
// The index is -1 without such a line.
func (l *lines) find(text string, from int) (string, int) {
	for i := from; i < l.Len(); i++ {
		if line := l.At(i); containsFold(line, text) {
			return line, i
		}
	}
	return "", -1
}

// crlf adds the carriage return that a terminal in raw mode needs.
type crlf struct{ w io.Writer }

// Write implements io.Writer.
func (c crlf) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p))
	for _, b := range p {
		if b == '\n' {
			out = append(out, '\r')
		}
		out = append(out, b)
	}
	if _, err := c.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}
