package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// terminalBlock matches a recorded terminal session: a command, and the lines that a user types
// after prompts.
var terminalBlock = regexp.MustCompile("(?ms)^```terminal\n(.*?)^```$")

// typedLine matches a line that a user types: after the prompt of the debugger, of a shell or of a
// question.
var typedLine = regexp.MustCompile(`^(?:\([a-z_:0-9]+\) |(?:\[[^]]*\] \S+ )?# |.*\[y/N\] )(.*)$`)

// TestDocs_SessionsAreCurrent repeats the terminal sessions of docs, and compares them. With -update
// it records them again. Texts that differ from run to run are not compared.
func TestDocs_SessionsAreCurrent(t *testing.T) {
	needEngine(t)
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got := terminalBlock.ReplaceAllStringFunc(string(text), func(block string) string { return record(t, block) })
		if *update && normalizeOutput(string(text)) != normalizeOutput(got) {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if diff := cmp.Diff(normalizeOutput(string(text)), normalizeOutput(got)); diff != "" {
			t.Errorf("%s: go test ./cmd -run TestDocs -update regenerates it\n%s", file, diff)
		}
	}
}

// record repeats a session in a copy of examples and returns its block.
func record(t *testing.T, block string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../examples")); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("rm", "-rf", filepath.Join(dir, "shop", ".buildlocal")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSuffix(strings.TrimPrefix(block, "```terminal\n"), "```"), "\n")
	command := strings.TrimPrefix(lines[0], "$ buildlocal ")
	d := converse(t, dir, []string{"BUILDLOCAL_PROGRESS=off"}, strings.Fields(command)...)
	var others []elsewhere
	for _, line := range lines[1:] {
		if other := otherTerminal.FindStringSubmatch(line); other != nil {
			d.expect(awaitsChanges)
			others = append(others, elsewhere{len(d.matched()), line})
			c := exec.Command("sh", "-c", other[1])
			c.Dir = dir
			if out, err := c.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", line, err, out)
			}
			continue
		}
		if typed := typedLine.FindStringSubmatch(line); typed != nil {
			d.expect(`(?m)(^\([a-z_:0-9]+\) |[#$] |\[y/N\] )$`)
			d.line(typed[1])
		}
	}
	if len(others) > 0 {
		d.expect(awaitsChanges)
		d.keys("q")
	}
	<-d.done
	d.expect(`(\n|\x1b\[23;2t)$`) // the title of the terminal is restored last
	text := d.printed()
	for _, o := range slices.Backward(others) {
		text = text[:o.at] + o.line + "\n" + text[o.at:]
	}
	return "```terminal\n" + lines[0] + "\n" + printable(text) + "```"
}

// otherTerminal matches a command that is run in another terminal when watch waits for changes.
var otherTerminal = regexp.MustCompile(`^# in another terminal: (.*)$`)

// awaitsChanges is printed by watch when it waits.
const awaitsChanges = `waiting for changes: .*\n`

// elsewhere is a command in another terminal, at a place of the output.
type elsewhere struct {
	at   int
	line string
}

// escapes are the control sequences of a terminal, such as those for bracketed paste and titles.
var escapes = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\a]*\a`)

// printable returns the text of a session without control sequences.
func printable(text string) string {
	text = escapes.ReplaceAllString(text, "")
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}
