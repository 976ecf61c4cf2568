package console_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/diag"
)

// someProblems have everything that can be too wide: messages, hints beside carets and without
// them, excerpts, and paths, which stay whole.
func someProblems() diag.List {
	long := "a message that has many words, because it explains something that is not obvious to people"
	deploy := "    commands: [aws s3 sync dist s3://b]"
	return diag.List{
		{Severity: diag.Warning, Name: "unknown-shell", File: "buildspec.yml", Line: 3, Column: 10, Width: 3,
			Message: `unknown shell "bsh"`, Hint: `did you mean "bash"?`, Excerpt: "  shell: bsh"},
		{Name: "command-not-text", File: "buildspec.yml", Line: 15, Column: 9, Width: 9, Message: long,
			Hint: "quote it: 'echo a: b'", Excerpt: "      - echo a: b"},
		{Severity: diag.Lint, Name: "deploy-after-failure", File: "buildspec.yml", Line: 20, Column: 16, Width: 23,
			Message: "POST_BUILD also runs after a failed BUILD, and would deploy", Excerpt: deploy,
			Hint: "move it to build, or test $CODEBUILD_BUILD_SUCCEEDING first"},
		{Severity: diag.Lint, Name: "at-the-right", File: "buildspec.yml", Line: 21, Column: 66, Width: 8, Message: "short",
			Hint: "a hint that has too little space beside the carets, so it is below", Excerpt: strings.Repeat("word ", 15)},
		{Severity: diag.Lint, Name: "tabs", File: "Dockerfile", Line: 1, Column: 4, Width: 4, Message: "short",
			Hint: long, Excerpt: "\t\t\twide 漢字 line"},
		{Severity: diag.Lint, Name: "long-line", File: "buildspec.yml", Line: 22, Column: 150, Width: 6, Message: "short",
			Hint: "a hint", Excerpt: strings.Repeat("x", 149) + "MARKED" + strings.Repeat("y", 300)},
		{Severity: diag.Warning, File: "project.json", Message: "short", Hint: "see " + strings.Repeat("/directory", 6) +
			"/and/one/more/level/of/a/path for more words about it"},
	}
}

// someFixes have changes of every width.
func someFixes() []console.Fixed {
	long := strings.Repeat("word ", 20) + "end"
	return []console.Fixed{
		{Line: 4, Before: "base_directory", After: "base-directory", Check: "unknown-key"},
		{Line: 100, Before: "echo a: b", After: "'echo a: b'", Check: "yaml-syntax"},
		{Line: 101, Before: strings.Repeat("x", 25), After: strings.Repeat("y", 25), Check: "a-check-with-a-long-name"},
		{Line: 102, Before: long, After: "'" + long + "'", Check: "yaml-syntax"},
	}
}

func TestWriteProblems_FitsTheTerminal(t *testing.T) {
	t.Parallel()
	for _, width := range []int{0, 80, 160} {
		var b, colored bytes.Buffer
		checked := console.Checked{File: "buildspec.yml", Problems: someProblems(), Fixable: 3, Fixed: someFixes()}
		r := console.Report{Files: []console.Checked{checked}, Width: width}
		if err := console.WriteProblems(&b, "text", r); err != nil {
			t.Fatal(err)
		}
		golden(t, fmt.Sprintf("validate-%d.txt", width), b.String())
		if width > 0 {
			checkWidth(t, fmt.Sprint(width), foldable(b.String()), width)
		}
		r.Color = true
		if err := console.WriteProblems(&colored, "text", r); err != nil {
			t.Fatal(err)
		}
		for _, code := range []string{"0", "22", "31", "32", "35", "36"} { // colors change no text
			text := strings.ReplaceAll(colored.String(), "\x1b["+code+"m", "")
			colored.Reset()
			colored.WriteString(text)
		}
		if colored.String() != b.String() {
			t.Errorf("%d columns: the text differs with colors:\n%q", width, colored.String())
		}
	}
}

// foldable returns the lines of a text that have more than one word, with tabs as wide as those
// after a border.
func foldable(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if len(strings.Fields(line)) > 1 {
			line = strings.Replace(line, " | \t", " |   ", 1)
			b.WriteString(strings.ReplaceAll(line, "\t", "        "))
		}
	}
	return b.String()
}

// TestWriteProblems_KeepsEveryWord compares the words of a problem on a narrow terminal with those
// off a terminal.
func TestWriteProblems_KeepsEveryWord(t *testing.T) {
	t.Parallel()
	words := func(width int) string {
		var b bytes.Buffer
		problems := someProblems()
		for i := range problems {
			problems[i].Excerpt = "" // is cut
		}
		r := console.Report{Files: []console.Checked{{Problems: problems}}, Width: width}
		if err := console.WriteProblems(&b, "text", r); err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(b.String()), " ")
	}
	if whole, narrow := words(0), words(45); whole != narrow {
		t.Errorf("got %s\nwant %s", narrow, whole)
	}
}
