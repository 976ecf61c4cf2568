package debugger

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// memory is a history in memory.
type memory struct{ lines []string }

func (m *memory) Load() []string     { return m.lines }
func (m *memory) Append(line string) { m.lines = append(m.lines, line) }

// typed reads a line from keys, as if a user typed them.
func typed(t *testing.T, keys string, h History, words ...string) (line, screen string, err error) {
	t.Helper()
	r, w := io.Pipe()
	defer w.Close()
	go func() {
		for _, key := range keys {
			if _, err := io.WriteString(w, string(key)); err != nil {
				return
			}
		}
	}()
	var out strings.Builder
	terminal := &Terminal{In: r, Out: &out, Size: func() (int, int) { return 80, 24 }}
	e := newLineEditor(terminal, newInput(r), h, time.Now)
	complete := func(line string) []string {
		return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return !strings.HasPrefix(w, lastWord(line)) })
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	line, err = e.readLine(ctx, "> ", complete)
	return line, out.String(), err
}

func TestReadLine_Keys(t *testing.T) {
	t.Parallel()
	earlier := []string{"break build:2", "! npm test", "env"}
	for _, c := range []struct{ keys, want string }{
		{"list\r", "list"},
		{"lisx\x7ft\r", "list"},
		{"wrong\x03list\r", "list"}, // Ctrl-C clears the line
		{"\x1b[A\x1b[A\r", "! npm test"},
		{"npm\x12\r", "! npm test"},         // Ctrl-R
		{"b\x12\r", "break build:2"},        // the newest line that has a b
		{"until bui\t\r", "until build:1 "}, // the only completion
		{"until po\t2\r", "until post_2"},   // the common beginning
		{"until post_\t\r", "until post_"},  // several: they are listed
		{"nothing\t\r", "nothing"},          // no completion
		{"é ü 日本\x7f\r", "é ü 日"},           // characters, not bytes
		{"a\x01b\x05c\r", "bac"},            // beginning and end of the line
		{"\x1b[200~pasted text\x1b[201~\r", "pasted text"},
	} {
		h := &memory{slices.Clone(earlier)}
		line, _, err := typed(t, c.keys, h, "build:1", "post_build:1", "post_:1")
		if err != nil || line != c.want {
			t.Errorf("%q: %q, %v; want %q", c.keys, line, err, c.want)
		}
	}
}

func TestReadLine_Ends(t *testing.T) {
	t.Parallel()
	if _, _, err := typed(t, "x\x03\x03", nil); !errors.Is(err, errTwice) {
		t.Errorf("Ctrl-C twice: %v", err)
	}
	if _, _, err := typed(t, "\x04", nil); !errors.Is(err, io.EOF) {
		t.Errorf("Ctrl-D: %v", err)
	}
	r, w := io.Pipe()
	w.Close()
	terminal := &Terminal{In: r, Out: io.Discard, Size: func() (int, int) { return 80, 24 }}
	e := newLineEditor(terminal, newInput(r), nil, time.Now)
	if _, err := e.readLine(t.Context(), "> ", nil); !errors.Is(err, errHangup) {
		t.Errorf("a closed terminal: %v", err)
	}
}

func TestReadLine_History(t *testing.T) {
	t.Parallel()
	h := &memory{lines: []string{"env"}}
	for _, line := range []string{"env\r", "\r", "list\r", "list\r", "env\r"} {
		if _, _, err := typed(t, line, h); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"env", "list", "env"}; !slices.Equal(h.lines, want) {
		t.Errorf("history %q, want %q", h.lines, want)
	}
}

// TestInput_GivesNothingToTheNext checks that a reader that gives up takes no bytes from the next one.
func TestInput_GivesNothingToTheNext(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	in := newInput(r)
	given, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := in.read(given, make([]byte, 1)); !errors.Is(err, errCanceled) {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(w, "abc") }()
	got := make([]byte, 3)
	if n, err := io.ReadFull(reader{t.Context(), in}, got); err != nil || string(got[:n]) != "abc" {
		t.Errorf("%q, %v", got[:n], err)
	}
}

func TestFind_Prefixes(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"c": "continue", "cont": "continue", "n": "next", "r": "retry", "ret": "retry", "d": "delete", "D": "detach",
		"?": "help", "h": "help", "expl": "explain", "x": "explain", "g": "goto", "y": "sync", "sh": "shell",
		"s": "shell", "e": "edit", "un": "error", "zzz": "error", "": "error", "se": "set", "quit": "abort",
	} {
		c, err := find(word)
		if err != nil {
			c.name = "error"
		}
		if c.name != want {
			t.Errorf("%q is %s, want %s (%v)", word, c.name, want, err)
		}
	}
}
