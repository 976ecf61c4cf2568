package tree_test

import (
	"testing"

	"github.com/buildlocal/buildlocal/internal/tree"
)

func TestBracketName_OnlyExactNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ pattern, file, want string }{
		{"app/[id].js", "app/[id].js", "app/[id].js"},
		{"app/[id].js", "app/i.js", ""},
		{"./app/[id].js", "app/[id].js", "app/[id].js"},
		{"app/[id]/*.js", "app/[id]/x.js", "app/[id]"},
		{"app/[id]/*.js", "app/[id]2/x.js", ""},
		{"app/[id]/[page].js", "app/[id]/other", "app/[id]"},
		{"*/[id].js", "app/[id].js", ""},
		{`app/\[id].js`, "app/[id].js", ""},
		{"/abs/[x]", "/abs/[x]", "/abs/[x]"},
		{"**/*", "[x]", ""},
		{"app/x.js", "app/x.js", ""},
	} {
		if got := tree.BracketName(c.pattern, c.file); got != c.want {
			t.Errorf("%s, %s: got %q, want %q", c.pattern, c.file, got, c.want)
		}
		// The suggested pattern selects the file, as the pattern itself may not.
		if escaped := tree.EscapeBrackets(c.pattern); c.want == c.file && !tree.Match(escaped, c.file) {
			t.Errorf("%s: %s does not match %s", c.pattern, escaped, c.file)
		}
	}
}
