package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestDebug_Explains shows at a stop what has changed since the last green build: in one line
// above the prompt, and in full for explain.
func TestDebug_Explains(t *testing.T) {
	t.Parallel()
	for engine, flags := range engines(t) {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			dir := sourceWith(t, "version: 0.2\nphases: {build: {commands: [sh test.sh]}}\n")
			test := filepath.Join(dir, "test.sh")
			writeFile(t, test, "echo fine\n")
			for _, args := range [][]string{
				{"init", "-q", "-b", "main"}, {"add", "-A"},
				{"-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "one"},
			} {
				if out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...).
					CombinedOutput(); err != nil {
					t.Fatalf("git %q: %s", args, out)
				}
			}
			if out, code := runHere(t, dir, append([]string{"run", "-q"}, flags...)...); code != 0 {
				t.Fatalf("exit code %d: %s", code, out)
			}
			writeFile(t, test, "echo test.sh: wrong; exit 3\n")
			d := converse(t, dir, nil, append([]string{"run", "--debug"}, flags...)...)
			d.expect(`since #1 \(green\): test\.sh changed; same buildspec, image and variables`)
			d.expect(`\(build:1\) `)
			d.line("x")
			d.expect(`#2 FAILED in build:1 after `)
			d.expect(`(?s)since #1, green .* earlier.*source +1 file changed; the output names test\.sh`)
			d.expect(`\(build:1\) `)
			writeFile(t, test, "echo fine again\n")
			d.line("r")
			d.expect(`fine again`)
			d.ends(0)
			if r := recordOf(t, dir); r.Contents == nil || r.Changes != nil {
				t.Errorf("contents %v, changes %v", r.Contents, r.Changes)
			}
		})
	}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
