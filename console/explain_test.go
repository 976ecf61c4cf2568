package console_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/runner"
)

// explanations are a failed and a green build, with everything that an explanation can have.
func explanations() []console.ExplainView {
	long := strings.Repeat("src/components/checkout/", 4) + "price.js"
	failed := console.ExplainView{
		Status: runner.Failed, Title: "shop #12 FAILED in build:2 after 31.2s", Source: "main 1a2b3c4 + 2 files",
		Problem: &diag.Problem{File: "buildspec.yml", Line: 14, Column: 9, Width: 8, Excerpt: "      - npm test",
			Message: "command failed with exit status 137", Hint: "Killed"},
		Output: []string{"\x1b[31mnot ok\x1b[0m 3 - rounds half up", "  at " + long + ":3:1"},
		Reasons: []string{"exit status 137: the command was killed (SIGKILL), most often because memory ran out",
			"hint: give the engine more memory, or use less of it in the command"},
		Head: "since #11, green 2 h earlier, on main",
		Rows: []console.ExplainRow{{Name: "buildspec", Text: "1 line of buildspec.yml changed"},
			{Name: "source", Text: "3 files changed; the output names " + long + "; others: a.js, evil\x1b[2Jname"},
			{Name: "image", Text: "same", Same: true}, {Name: "duration", Text: "31.2s, was 12.1s"}},
		Changed: []string{"- 14:       - npm test", "+ 14:       - npm test -- --all"},
		Notes: []string{"the same files were green in #10 and failed in #9: the failure is flaky, or its cause " +
			"is outside of the source"},
		Next: []runner.NextStep{{Command: "buildlocal debug", Purpose: "stop at the failing command"},
			{Command: "buildlocal logs 12 build:2", Purpose: "read all of its output"}},
	}
	phase := console.ExplainView{Status: runner.Fault, Title: "shop #9 FAULT in PROVISIONING after 0.2s",
		Message: "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE: no network"}
	green := console.ExplainView{
		Status: runner.Succeeded, Title: "shop #13 SUCCEEDED after 31.2s", SlowHead: "time, by phase and command",
		Slow: [][]string{{"INSTALL", "10.2s", "usually 4.1s, slower by 6.1s", ""},
			{"build:1", "20.0s", "usually 20.1s", strings.Repeat("make a long command ", 6)}},
	}
	return []console.ExplainView{failed, phase, green}
}

func TestExplain_Golden(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]console.Options{
		"explain-80.txt":    {Width: columns(80), Color: true},
		"explain-160.txt":   {Width: columns(160)},
		"explain-ascii.txt": {Width: columns(80), ASCII: true},
		"explain-pipe.txt":  {},
	} {
		var b bytes.Buffer
		for _, v := range explanations() {
			s := console.NewScreen(&b, o)
			s.Explain(v)
			fmt.Fprintln(&b)
			if err := s.Err(); err != nil {
				t.Error(err)
			}
		}
		if strings.Contains(b.String(), "\x1b[2J") {
			t.Errorf("%s: a name of a file clears the screen", name)
		}
		golden(t, name, b.String())
	}
}
