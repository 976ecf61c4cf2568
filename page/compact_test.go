package page

import (
	"testing"
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
