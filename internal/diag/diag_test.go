package diag_test

import (
	"testing"

	"github.com/buildlocal/buildlocal/internal/diag"
)

func TestProblem_String(t *testing.T) {
	t.Parallel()
	tests := []struct {
		problem diag.Problem
		want    string
	}{
		{diag.Problem{Message: "m"}, "error: m"},
		{diag.Problem{File: "f", Message: "m", Severity: diag.Warning}, "f: warning: m"},
		{diag.Problem{File: "f", Line: 12, Message: "m", Excerpt: "text"}, "f:12: error: m\n  12 | text"},
		{diag.Problem{File: "f", Line: 1, Column: 3, Width: 2, Message: "m", Excerpt: "\tübel x"},
			"f:1:3: error: m\n  1 | \tübel x\n    | \t ^^"},
		{diag.Problem{File: "f", Line: 1, Column: 99, Message: "m", Excerpt: "ab"}, "f:1:99: error: m\n  1 | ab\n    |   ^"},
		{diag.Problem{File: "f", Line: 1, Column: 2, Message: "m", Hint: "do x", Excerpt: "ab"},
			"f:1:2: error: m\n  1 | ab\n    |  ^ do x"},
		{diag.Problem{File: "f", Line: 1, Message: "m", Hint: "do x", Excerpt: "ab"},
			"f:1: error: m\n  1 | ab\nhint: do x"},
		{diag.Problem{File: "f", Message: "m", Hint: "a\x1bb\nc"}, "f: error: m\nhint: a\ufffdb\\nc"},
	}
	for _, test := range tests {
		if got := test.problem.String(); got != test.want {
			t.Errorf("got\n%s\nwant\n%s", got, test.want)
		}
	}
}

func TestProblem_TextIsOneLine(t *testing.T) {
	t.Parallel()
	for want, problem := range map[string]diag.Problem{
		"m":    {Message: "m"},
		"m; h": {Message: "m", Hint: "h", Excerpt: "text", Line: 1, Column: 1},
	} {
		if got := problem.Text(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestList_Err(t *testing.T) {
	t.Parallel()
	warnings := diag.List{{Severity: diag.Warning, Message: "w"}}
	if warnings.Failed() || warnings.Err() != nil {
		t.Error("a warning is no error")
	}
	both := append(warnings, diag.Problem{File: "a", Line: 2, Message: "e"}, diag.Problem{File: "a", Line: 1,
		Message: "d"})
	both.Sort()
	if !both.Failed() || both.Err().Error() != "warning: w\na:1: error: d\na:2: error: e" {
		t.Errorf("got %v", both.Err())
	}
}

func TestSuggest_SimilarWordsOnly(t *testing.T) {
	t.Parallel()
	known := []string{"base-directory", "files", "image", "source", "pre_build", "JUNITXML"}
	for written, want := range map[string]string{
		"base_directory": "base-directory", "BaseDirectory": "base-directory", "file": "files", "imgae": "image",
		"sorce":    "source",
		"prebuild": "pre_build", "junit": "JUNITXML", "completely-else": "", "x": "", "": "",
	} {
		if got := diag.Suggest(written, known); got != want {
			t.Errorf("%q: got %q, want %q", written, got, want)
		}
	}
}

func TestChoice_ListsWordsOnlyWithoutSuggestion(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		written string
		known   []string
		want    string
	}{
		{"fiels", []string{"files", "name"}, `did you mean "files"?`},
		{"type", []string{"files", "name", "paths"}, "use files, name or paths"},
		{"both", []string{"save"}, "use save"},
	} {
		if got := diag.Choice(test.written, test.known); got != test.want {
			t.Errorf("%s: got %s, want %s", test.written, got, test.want)
		}
	}
	if got := diag.DidYouMean("fiels", []string{"files"}); got != `; did you mean "files"?` {
		t.Errorf("DidYouMean: got %s", got)
	}
	if got := diag.Question("else", []string{"files"}); got != "" {
		t.Errorf("Question: got %s", got)
	}
}
