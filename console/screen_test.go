package console

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// printed returns the lines of a screen on a terminal of a width, or off a terminal for 0.
func printed(columns int, o Options, do func(*Screen)) string {
	var b bytes.Buffer
	if columns > 0 {
		o.Width = func() int { return columns }
	}
	do(NewScreen(&b, o))
	return b.String()
}

func wideTable() Table {
	t := Table{Columns: []Column{
		{}, {Title: "BUILD"}, {Title: "COMMIT", Drop: 2}, {Title: "SUBJECT", Drop: 1, Fit: FitText},
		{Title: "SOURCE", Fit: FitPath},
	}}
	t.Add(SignOK, Plain("#1"), Plain("1a2b3c4"), Plain(strings.Repeat("words and ", 4)),
		Weak("~/src/"+strings.Repeat("deep/", 12)+"api"))
	t.Add(SignFailed, Strong("#12"), Plain("9f8e7d6"), Plain("short"), Weak("~/src/shop"))
	return t
}

func TestTable_FitsTheTerminal(t *testing.T) {
	t.Parallel()
	for _, columns := range []int{0, 40, 60, 80, 160, 500} {
		for _, o := range []Options{{}, {Color: true}, {ASCII: true}} {
			text := printed(columns, o, func(s *Screen) { s.Table(wideTable()) })
			for line := range strings.Lines(text) {
				line = strings.TrimSuffix(line, "\n")
				if w := width(plain(line)); columns > 0 && w > columns {
					t.Errorf("%d columns: a line has %d:\n%s", columns, w, line)
				}
				if plain(line) != strings.TrimRight(plain(line), " ") {
					t.Errorf("%d columns: spaces at the end: %q", columns, line)
				}
			}
			if got, want := strings.Contains(text, "SUBJECT"), columns == 0 || columns >= 160; got != want {
				t.Errorf("%d columns: SUBJECT is shown: %t\n%s", columns, got, text)
			}
		}
	}
}

func TestTable_ShortensPathsInTheMiddle(t *testing.T) {
	t.Parallel()
	text := printed(60, Options{}, func(s *Screen) { s.Table(wideTable()) })
	if !strings.Contains(text, "~/src/deep/") || !strings.Contains(text, "/…/") || !strings.Contains(text, "/api\n") {
		t.Errorf("the ends of the path are missing:\n%s", text)
	}
}

func TestTable_WrapsTheLastCell(t *testing.T) {
	t.Parallel()
	table := Table{Columns: []Column{{}, {Fit: FitWrap}}, NoHead: true}
	table.Add(Plain("one"), Plain("words that go on below at the end of a terminal"))
	table.Add(Plain("three"), Plain("  an indented text that goes on below"))
	for columns, want := range map[int]string{
		0: "one    words that go on below at the end of a terminal\n" +
			"three    an indented text that goes on below\n",
		40: "one    words that go on below at the end\n       of a terminal\n" +
			"three    an indented text that goes on\n         below\n",
	} {
		if got := printed(columns, Options{}, func(s *Screen) { s.Table(table) }); got != want {
			t.Errorf("%d columns: got\n%swant\n%s", columns, got, want)
		}
	}
}

func TestScreen_FirstLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "", "one\n": "one", "one\ntwo\n": "one ..."} {
		if got := NewScreen(&bytes.Buffer{}, Options{ASCII: true}).FirstLine(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestTable_EscapesCells(t *testing.T) {
	t.Parallel()
	table := Table{Columns: []Column{{Title: "A"}, {Title: "B"}}}
	table.Add(Plain("x\x1b[2J\ny"), Plain("\u202eevil"))
	text := printed(80, Options{Color: true}, func(s *Screen) { s.Table(table); s.Printf("%s", "a\nb\x07") })
	if strings.Contains(text, "\x1b[2J") || strings.Contains(text, "\u202e") || strings.Count(text, "\n") != 3 {
		t.Errorf("not escaped: %q", text)
	}
}

func TestSparkline_ScalesToTheLargest(t *testing.T) {
	t.Parallel()
	s := NewScreen(&bytes.Buffer{}, Options{})
	if got := s.Sparkline([]int64{0, 50, 100}); got != "▁▄█" {
		t.Errorf("got %s", got)
	}
	if got := NewScreen(&bytes.Buffer{}, Options{ASCII: true}).Sparkline([]int64{1}); got != "" {
		t.Errorf("in ASCII: %s", got)
	}
}

// TestMessage_FitsTheTerminal has indented lines that are wider than the terminal.
func TestMessage_FitsTheTerminal(t *testing.T) {
	t.Parallel()
	command := "buildlocal run -b " + strings.Repeat("sub/", 20) + "b.yml"
	text := "error: no image\n  here: " + strings.Repeat("some/image (docker), ", 6) + "another\n" +
		"error: none; near it:\n  a.yml           " + command + "\n  services/b.yml   buildlocal run\nhint: next\n"
	on := func(columns int) string { return printed(columns, Options{}, func(s *Screen) { s.Message(text) }) }
	narrow := on(80)
	for _, want := range []string{"\n        some/image", "\n    buildlocal run\n", "\n  a.yml\n    " + command + "\n"} {
		if !strings.Contains(narrow, want) {
			t.Errorf("%q is missing:\n%s", want, narrow)
		}
	}
	for line := range strings.Lines(strings.ReplaceAll(narrow, command, "")) {
		if width(line) > 81 { // with its end
			t.Errorf("too wide: %q", line)
		}
	}
	if got, want := strings.Fields(narrow), strings.Fields(text); !slices.Equal(got, want) {
		t.Errorf("got the words %q, want %q", got, want)
	}
	if strings.Contains(on(200), "a.yml\n") {
		t.Errorf("on a wide terminal got:\n%s", on(200))
	}
	if on(0) != text {
		t.Errorf("off a terminal got:\n%s", on(0))
	}
}
