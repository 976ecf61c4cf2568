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
	eachEngine(t, func(t *testing.T, flags []string) {
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

// TestRepro_StopsAtTheCommand stops before the command that failed in CodeBuild, and compares the
// builds at the end.
func TestRepro_StopsAtTheCommand(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		dir := sourceWith(t, "version: 0.2\nphases: {build: {commands: [echo one, 'sh test.sh']}}\n")
		writeFile(t, filepath.Join(dir, "test.sh"), "echo \"stage $STAGE\"; exit 3\n")
		record := filepath.Join(t.TempDir(), "build.json")
		writeFile(t, record, `{"id": "shop:1", "buildStatus": "FAILED", "projectName": "shop",
  "source": {"type": "GITHUB", "location": "https://github.com/acme/shop"},
  "environment": {"environmentVariables": [{"name": "STAGE", "value": "dev"}]},
  "phases": [{"phaseType": "BUILD", "phaseStatus": "FAILED", "contexts": [{"message":
    "Error while executing command: sh test.sh. Reason: exit status 3"}]}]}`)
		d := converse(t, dir, nil, append([]string{"repro", record, "--here"}, flags...)...)
		d.expect(`repeating shop:1 FAILED in BUILD: sh test\.sh`)
		d.expect(`stopped before build:2`)
		d.expect(`\(build:2\) `)
		d.line("n")
		d.expect(`stage dev`)
		d.expect(`\(build:2\) `)
		d.line("c")
		d.expect(`reproduced: shop:1`)
		d.ends(1)
		if r := recordOf(t, dir); r.Repro == nil || r.Repro.Verdict != "reproduced" {
			t.Errorf("record: %+v", r.Repro)
		}
	})
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
