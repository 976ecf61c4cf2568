package cmd_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/runner"
)

// failing is a buildspec whose second command of BUILD fails until the file flag exists.
const failing = `version: 0.2
phases:
  install:
    commands:
      - echo installed >>/marker; mkdir sub; cd sub
      - export N=1; X=5; QUOTED="it's"; export LINES_OF="$(printf 'a\nb')"
  build:
    commands:
      - echo "first"
      - echo "N is $N"; export N=$((N+1)); cat ../flag
      - echo "then $N $X $QUOTED $LINES_OF in ${PWD##*/}"; cat /marker
artifacts: {files: [buildspec.yml, flag]}
`

// ownTemp returns the environment of a user with a directory of its own for temporary files, and
// that directory.
func ownTemp(t *testing.T) (env []string, dir string) {
	t.Helper()
	dir = t.TempDir()
	return []string{"TMPDIR=" + dir, "BUILDLOCAL_KEEP_FAILED=auto"}, dir
}

// runWith is runHere with variables of the environment.
func runWith(t *testing.T, dir string, env []string, args ...string) (output string, code int) {
	t.Helper()
	c := exec.Command("buildlocal", args...)
	c.Dir, c.Env = dir, append(terminalEnviron(), env...)
	out, err := c.CombinedOutput()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), c.ProcessState.ExitCode()
}

// fails runs a build that ends at a failed command, whose state is kept.
func fails(t *testing.T, dir string, env []string, flags ...string) {
	t.Helper()
	d := converse(t, dir, env, append([]string{"run"}, flags...)...)
	d.expect("Run `buildlocal debug` to continue at the failed command.")
	d.ends(1)
	if !recordOf(t, dir).StateKept {
		t.Error("the record does not have the kept state")
	}
}

// leftIn returns the runs in a directory for temporary files.
func leftIn(t *testing.T, temp string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(temp, "buildlocal-*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestFailed_Continues continues a build at its failed command, with its state and without running
// anything again.
func TestFailed_Continues(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		env, temp := ownTemp(t)
		dir := sourceWith(t, failing)
		fails(t, dir, env, flags...)
		before := recordOf(t, dir)
		if out, _ := runWith(t, dir, env, "ps"); !regexp.MustCompile(`(?m)^1-\w+ .* failed `).MatchString(out) {
			t.Errorf("ps prints\n%s", out)
		}
		d := converse(t, dir, env, "debug")
		d.expect(`continuing build 1-\w+, which failed at build:2`)
		d.expect(`error: command failed with exit status 1`)
		d.expect(`stopped at the failure of build:2`)
		d.expect(`\(build:2\) `)
		d.line("! echo \"<$N $X $QUOTED $LINES_OF ${PWD##*/} $CODEBUILD_BUILD_NUMBER>\"")
		d.expect(`<2 5 it's a\nb sub 1>`)
		d.expect(`\(build:2\) `)
		d.line("output")
		d.expect(`N is 1`)
		d.expect(`\(build:2\) `)
		if err := os.WriteFile(filepath.Join(dir, "flag"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		d.line("r")
		d.expect(`synced 1 file: flag`)
		d.expect(`build:2 attempt 2`)
		d.expect(`N is 1\n`) // not twice
		d.expect(`then 2 5 it's a\nb in sub\ninstalled\n`)
		d.expect(`SUCCEEDED in .*, by hand`)
		d.ends(0)
		after := recordOf(t, dir)
		if after.ID != before.ID || after.Number != 1 || after.Status != runner.Succeeded || after.StateKept {
			t.Errorf("the record is that of %s, %s", after.ID, after.Status)
		}
		checkContinued(t, dir, after)
		if left := leftIn(t, temp); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		if out, _ := runWith(t, dir, env, "prune", "--dry-run"); strings.Contains(out, filepath.Base(dir)) {
			t.Errorf("prune would remove\n%s", out)
		}
	})
}

// checkContinued checks the record and the log of a build that went on after a failure: they are
// those of a build that was stopped there.
func checkContinued(t *testing.T, dir string, r runner.Record) {
	t.Helper()
	var places []string
	for _, c := range r.Commands {
		places = append(places, c.At)
	}
	if got := strings.Join(places, " "); got != "install:1 install:2 build:1 build:2 build:2 build:3" {
		t.Errorf("commands: %s", got)
	}
	log, err := os.ReadFile(filepath.Join(dir, ".buildlocal/latest/log.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for text, times := range map[string]int{
		"Entering phase INSTALL": 1, "Entering phase BUILD": 1, "Running command echo \"N is": 2,
		"Command did not exit successfully": 1, "Phase complete: BUILD State: SUCCEEDED": 1,
		"Phase complete: BUILD State: FAILED": 0,
	} {
		if n := bytes.Count(log, []byte(text)); n != times {
			t.Errorf("the log has %q %d times, want %d", text, n, times)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, ".buildlocal/latest/artifacts/flag")); err != nil {
		t.Error(err)
	}
	if out, code := runHere(t, dir, "logs", "1"); code != 0 || strings.Count(out, "N is 1") != 2 {
		t.Errorf("logs: exit code %d, %s", code, out)
	}
}

// TestFailed_Again leaves the prompt of a continued build without a change, and continues it again.
func TestFailed_Again(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		env, temp := ownTemp(t)
		dir := sourceWith(t, failing)
		fails(t, dir, env, flags...)
		d := converse(t, dir, env, "debug")
		d.expect(`\(build:2\) `)
		d.line("set X=6")
		d.expect(`\(build:2\) `)
		d.line("c")
		d.expect("Run `buildlocal debug` to continue at the failed command.")
		d.ends(1)
		d = converse(t, dir, env, "debug")
		d.expect(`\(build:2\) `)
		d.line("q")
		d.ends(130)
		d = converse(t, dir, env, "debug")
		d.expect(`\(build:2\) `)
		d.line("! echo \"<$X>\"")
		d.expect(`<6>`)
		d.expect(`\(build:2\) `)
		d.line("k")
		d.expect(`then 2 6 it's`)
		d.ends(0)
		if left := leftIn(t, temp); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// TestFailed_Secrets checks that no value of a secret is stored, and that a new value is used.
func TestFailed_Secrets(t *testing.T) {
	t.Parallel()
	const canary = "canary-4bd1f0c2a9"
	eachEngine(t, func(t *testing.T, flags []string) {
		env, temp := ownTemp(t)
		dir := sourceWith(t, `version: 0.2
env:
  parameter-store: {TOKEN: /app/token}
phases:
  build:
    commands:
      - export URL="https://user:$TOKEN@example.com/"; CODED=$(printf %s "$TOKEN" | rev 2>/dev/null || :)
      - "false"
`)
		file := filepath.Join(t.TempDir(), "secrets.yml")
		write := func(value string) {
			text := "parameter-store:\n  /app/token: " + value + "\n"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(canary)
		fails(t, dir, env, append([]string{"--secrets", file}, flags...)...)
		for _, root := range []string{temp, dir} {
			for _, name := range containing(t, root, canary) {
				t.Errorf("%s contains the secret", name)
			}
		}
		write("other-77ab90cd")
		d := converse(t, dir, env, "debug")
		d.expect(`\(build:2\) `)
		d.line(`! printf '<%s>' "${#TOKEN} ${URL#*user:}" | tr a-z A-Z`)
		d.expect(`<14 OTHER-77AB90CD@EXAMPLE.COM/>`)
		d.expect(`\(build:2\) `)
		d.line("q")
		d.ends(130)
		if out, code := runWith(t, dir, env, "prune", "1"); code != 0 {
			t.Errorf("prune: exit code %d, %s", code, out)
		}
		if left := leftIn(t, temp); len(left) > 0 {
			t.Errorf("left after prune: %v", left)
		}
	})
}

// containing returns the files below a directory that contain a text.
func containing(t *testing.T, dir, text string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(name)
		if bytes.Contains(content, []byte(text)) {
			all = append(all, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestFailed_NotKept runs builds whose state is not kept.
func TestFailed_NotKept(t *testing.T) {
	t.Parallel()
	engine := engines(t)["host"]
	if engine == nil {
		t.Skip("no sandbox works here")
	}
	// with a command after the failure
	after := strings.Replace(failing, "artifacts:", "  post_build:\n    commands: [echo late]\nartifacts:", 1)
	const stop = "Run `buildlocal run --engine host.* --debug` to stop at the failed command."
	for name, c := range map[string]struct {
		spec string
		args []string
		env  string
		want string // the last line
	}{
		"never":              {failing, []string{"--keep-failed", "never"}, "", stop},
		"a command after it": {after, nil, "", stop},
		"in CI":              {failing, nil, "CI=true", "FAILED in .*"},
		"json":               {failing, []string{"--format", "json"}, "", `build_ended`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, temp := ownTemp(t)
			dir := sourceWith(t, c.spec)
			d := converse(t, dir, append(env, c.env), append(append([]string{"run"}, engine...), c.args...)...)
			d.expect(c.want)
			d.ends(1)
			if text := d.printed(); c.want != stop && strings.Contains(text, "Run `buildlocal") {
				t.Errorf("printed:\n%s", text)
			}
			if left := leftIn(t, temp); len(left) > 0 || recordOf(t, dir).StateKept {
				t.Errorf("left: %v", left)
			}
		})
	}
	t.Run("without a terminal", func(t *testing.T) {
		t.Parallel()
		env, temp := ownTemp(t)
		dir := sourceWith(t, failing)
		out, code := runWith(t, dir, env, append([]string{"run"}, engine...)...)
		if code != 1 || strings.Contains(out, "debug") {
			t.Errorf("exit code %d, %s", code, out)
		}
		if left := leftIn(t, temp); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// TestFailed_Replaced checks how long the state is kept.
func TestFailed_Replaced(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		env, temp := ownTemp(t)
		dir := sourceWith(t, failing)
		fails(t, dir, env, flags...)
		fails(t, dir, env, flags...)
		if left := leftIn(t, temp); len(left) != 1 {
			t.Errorf("after two failures there are %v", left)
		}
		state := filepath.Join(leftIn(t, temp)[0], "failed.json")
		text, err := os.ReadFile(state)
		if err != nil {
			t.Fatal(err)
		}
		ended := regexp.MustCompile(`"Ended":"[^"]*"`)
		old := `"Ended":"` + time.Now().Add(-25*time.Hour).Format(time.RFC3339) + `"`
		if err := os.WriteFile(state, ended.ReplaceAll(text, []byte(old)), 0o600); err != nil {
			t.Fatal(err)
		}
		d := converse(t, dir, env, append([]string{"debug"}, flags...)...)
		d.expect(`running a build: the state of build 2-\w+ was kept for 24 hours, which are over`)
		d.expect(`#3`)
		d.expect(`\(build:2\) `)
		d.line("i")
		d.ends(0)
		if left := leftIn(t, temp); len(left) > 0 {
			t.Errorf("after a success there are %v", left)
		}
	})
}

// TestFailed_OtherOptions runs a build if the options are not those of the failed one.
func TestFailed_OtherOptions(t *testing.T) {
	t.Parallel()
	flags := engines(t)["host"]
	if flags == nil {
		t.Skip("no sandbox works here")
	}
	env, _ := ownTemp(t)
	dir := sourceWith(t, failing)
	fails(t, dir, env, append([]string{"-e", "STAGE=one"}, flags...)...)
	d := converse(t, dir, env, append([]string{"debug", "-e", "STAGE=one"}, flags...)...)
	d.expect(`continuing build 1-`)
	d.expect(`\(build:2\) `)
	d.line("c")
	d.ends(1)
	d = converse(t, dir, env, append([]string{"debug", "-e", "STAGE=two"}, flags...)...)
	d.expect(`running a build: the options differ from those of build 1-`)
	d.expect(`\(build:2\) `)
	d.line("q")
	d.ends(130)
}

// TestFailed_ContainerRemoved checks that a state which cannot be used is reported and removed.
func TestFailed_ContainerRemoved(t *testing.T) {
	t.Parallel()
	flags := engines(t)["docker"]
	if flags == nil {
		t.Skip("no Docker engine works here")
	}
	env, temp := ownTemp(t)
	dir := sourceWith(t, failing)
	fails(t, dir, env, flags...)
	out, err := exec.Command("docker", "ps", "-aq", "--filter", "label=dev.buildlocal.source="+dir).Output()
	if err != nil || len(strings.Fields(string(out))) != 1 {
		t.Fatalf("%v, containers %q", err, out)
	}
	if err := exec.Command("docker", "rm", "-f", strings.TrimSpace(string(out))).Run(); err != nil {
		t.Fatal(err)
	}
	d := converse(t, dir, env, "debug")
	d.expect(`error: .*find the container that was kept`)
	d.ends(4)
	if left := leftIn(t, temp); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if r := recordOf(t, dir); r.Status != runner.Failed || len(r.Commands) != 4 {
		t.Errorf("the record of the failed build was changed: %+v", r)
	}
}

// TestFailed_KilledMeanwhile kills a continued build: prune removes it.
func TestFailed_KilledMeanwhile(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		env, temp := ownTemp(t)
		dir := sourceWith(t, failing)
		fails(t, dir, env, flags...)
		d := converse(t, dir, env, "debug")
		d.expect(`\(build:2\) `)
		if err := d.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-d.done
		if out, code := runWith(t, dir, env, "prune", "1"); code != 0 || !strings.Contains(out, "removed") {
			t.Errorf("exit code %d, %s", code, out)
		}
		if left := leftIn(t, temp); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}
