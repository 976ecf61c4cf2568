package page

import (
	"bufio"
	"io/fs"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/buildlocal/buildlocal/runner"
)

func TestCompactScript_KeepsLiterals(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"const a = 1; // one\n  let b;":           "const a=1;let b;",
		"x = a + +b - -c;":                        "x=a+ +b- -c;",
		"f(\"a  // b\", `c  ${d}  e`);":           "f(\"a  // b\",`c  ${d}  e`);",
		"r = /[/ \"]  \\/ x/g.test(a / b / c);":   "r=/[/ \"]  \\/ x/g.test(a/b/c);",
		"if (a)\n  return b;\nelse\n  throw c;\n": "if(a)return b;else throw c;",
	} {
		if got := string(compactScript([]byte(text))); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// The sizes are those of a page without data. A page that is opened by a click has to appear
// at once, and its scripts are a part of every stored build.
func TestAssets_AreSmall(t *testing.T) {
	t.Parallel()
	const maxStyle, maxScript = 28_000, 54_000
	for name, scripts := range map[string][]string{"build": buildScripts, "index": indexScripts} {
		style, script, err := readAssets(scripts)
		if err != nil || len(style) > maxStyle || len(script) > maxScript {
			t.Errorf("%s: a style sheet of %d bytes, scripts of %d bytes, %v", name, len(style), len(script), err)
		}
		t.Logf("%s: a style sheet of %d bytes, scripts of %d bytes", name, len(style), len(script))
	}
}

// The scripts and the style sheet are formatted by prettier, with the settings of .prettierrc.
func TestAssets_LinesAreShort(t *testing.T) {
	t.Parallel()
	const maxColumns = 100
	names, err := fs.Glob(assets, "assets/*")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text, err := assets.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(strings.NewReader(string(text)))
		for n := 1; lines.Scan(); n++ {
			if columns := utf8.RuneCountInString(lines.Text()); columns > maxColumns {
				t.Errorf("%s:%d: %d columns", name, n, columns)
			}
		}
	}
}

// A record can be damaged, or come with a source.
func TestFailures_OfMissingCommands(t *testing.T) {
	t.Parallel()
	b := Build{Record: &runner.Record{
		Status: runner.Failed, Commands: []runner.CommandRecord{{Text: "make", Exit: 1}},
		Failures: []runner.Failure{{Command: -1}, {Command: 1}, {Command: 0}},
	}}
	if got := b.failures(); len(got) != 1 || firstFailure(b) != "make" || lede(b) != "The command exited with status 1." {
		t.Errorf("%+v, %q, %q", got, firstFailure(b), lede(b))
	}
}
