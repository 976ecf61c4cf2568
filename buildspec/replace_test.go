package buildspec_test

import (
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/buildspec"
)

const replaceable = `version: 0.2
phases:
  build:
    commands:
      - npm test  # all of them
      - "echo \"a: b\"" # quoted
      - 'it''s'
      - |
        first

        second
      - >-
        folded
        text
    finally:
      - echo end
`

func TestReplace(t *testing.T) {
	for _, c := range []struct{ path, text, old, want string }{
		{"phases.build.commands[0]", "npm run test", "- npm test  #", "- npm run test  #"},
		{"phases.build.commands[0]", "echo a: b", "- npm test  #", "- 'echo a: b'  #"},
		{"phases.build.commands[1]", "true", `- "echo \"a: b\"" #`, `- "true" #`},
		{"phases.build.commands[2]", "x", "- 'it''s'", "- x"},
		{"phases.build.commands[3]", "one\ntwo\n", "        first\n\n        second\n", "        one\n        two\n"},
		{"phases.build.commands[0]", "one\ntwo", "- npm test  # all of them\n",
			"- |  # all of them\n        one\n        two\n"},
		{"phases.build.finally[0]", "echo over", "- echo end", "- echo over"},
	} {
		got, err := buildspec.Replace(replaceable, c.path, c.text)
		if want := strings.Replace(replaceable, c.old, c.want, 1); err != nil || got != want {
			t.Errorf("Replace(%s, %q): %v\ngot\n%s\nwant\n%s", c.path, c.text, err, got, want)
		}
	}
	for _, path := range []string{"phases.build.commands[4]", "phases.build.commands[9]", ""} {
		if got, err := buildspec.Replace(replaceable, path, "x"); err == nil {
			t.Errorf("Replace(%s) = %s, want an error", path, got)
		}
	}
	dos := strings.ReplaceAll(replaceable, "\n", "\r\n")
	if got, err := buildspec.Replace(dos, "phases.build.commands[0]", "x"); err != nil ||
		got != strings.Replace(dos, "npm test", "x", 1) {
		t.Errorf("with carriage returns: %v, %q", err, got)
	}
}

// FuzzReplace checks that no text can change another command, or leave an invalid file.
func FuzzReplace(f *testing.F) {
	f.Add("echo a: b", 0)
	f.Add("a\nb\n", 1)
	f.Add("  - x #", 3)
	paths := []string{"phases.build.commands[0]", "phases.build.commands[1]", "phases.build.commands[2]",
		"phases.build.commands[3]", "phases.build.finally[0]"}
	f.Fuzz(func(t *testing.T, text string, n int) {
		got, err := buildspec.Replace(replaceable, paths[uint(n)%uint(len(paths))], text)
		if err != nil {
			return
		}
		if _, problems := buildspec.Parse("", []byte(got)); problems.Failed() {
			t.Fatalf("%q makes the file invalid: %v\n%s", text, problems, got)
		}
	})
}
