package cmd_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/runner"
)

// recordOf returns the record of the newest build of a source.
func recordOf(t *testing.T, dir string) runner.Record {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, ".buildlocal/latest/build.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r runner.Record
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestDebug_Breakpoints stops in codebuild-breakpoint, wherever a shell finds it: in a block, in a
// script of another program, and in the background.
func TestDebug_Breakpoints(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		dir := sourceWith(t, `version: 0.2
phases:
  build:
    commands:
      - |
        Y=7
        echo before
        codebuild-breakpoint
        echo "after $Y"
      - printf 'Z=8; export Z; false || codebuild-breakpoint; echo "script $Z"\n' >s.sh; sh s.sh
      - codebuild-breakpoint & codebuild-breakpoint; wait; echo both
      - codebuild-resume
`)
		d := converse(t, dir, nil, append([]string{"run", "--debug"}, flags...)...)
		d.expect(`before\n`)
		d.expect(`stopped in codebuild-breakpoint of build:1`)
		d.expect(`\(build:1\) `)
		d.line("! echo Y=$Y")
		d.expect(`\nY=7\n`)
		d.line("s")
		d.expect(`#1 build:1\] `)
		d.line("echo shell $Y; codebuild-resume")
		d.expect(`shell 7\n`)
		d.expect(`continued by codebuild-resume`)
		d.expect(`after 7\n`)
		d.expect(`stopped in codebuild-breakpoint of build:2`)
		d.line("! echo Z=$Z")
		d.expect(`\nZ=8\n`)
		d.line("c")
		d.expect(`script 8\n`)
		for range 2 {
			d.expect(`stopped in codebuild-breakpoint of build:3`)
			d.line("c")
		}
		d.expect(`both\n`)
		d.expect(`codebuild-resume: no script waits in codebuild-breakpoint`)
		d.ends(0)
	})
}

// TestDebug_Retry runs a command with the buildspec and the files of the source as they are now. The
// exports of a failed command do not count twice.
func TestDebug_Retry(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		const spec = `version: 0.2
phases:
  build:
    commands:
      - echo one
      - export N=$((N+1)); echo "N is $N"; false
      - echo "N was $N"; cat data.txt
`
		dir := sourceWith(t, spec)
		data := filepath.Join(dir, "data.txt")
		write := func(name, text string) {
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		write(data, "old\n")
		d := converse(t, dir, nil, append([]string{"run", "--debug"}, flags...)...)
		d.expect(`N is 1\n`)
		d.expect(`\(build:2\) `)
		d.line("r")
		d.expect(`N is 1\n`)
		d.expect(`\(build:2\) `)
		write(data, "new data\n")
		write(filepath.Join(dir, "buildspec.yml"), "version: [")
		d.line("retry")
		d.expect(`synced 2 files`)
		d.expect(`the buildspec is not used`)
		d.expect(`N is 1\n`)
		d.expect(`\(build:2\) `)
		write(filepath.Join(dir, "buildspec.yml"), strings.Replace(spec, "; false", "", 1))
		d.line("r")
		d.expect(`\+ export N=`)
		d.expect(`N is 1\n`)
		d.expect(`N was 1\n`)
		d.expect(`new data\n`)
		d.ends(0)
		if r := recordOf(t, dir); r.Status != runner.Succeeded || len(r.ByHand) == 0 {
			t.Errorf("%s, by hand %v", r.Status, r.ByHand)
		}
	})
}

// TestDebug_Edit edits the failed command in an editor, and saves it to the buildspec, whose other
// bytes stay the same.
func TestDebug_Edit(t *testing.T) {
	t.Parallel()
	const spec = `version: 0.2
# about the build
phases:
  build:
    commands:
      - echo wrong; false   # a comment
      - echo end
`
	dir := sourceWith(t, spec)
	editor := filepath.Join(t.TempDir(), "editor")
	if err := os.WriteFile(editor, []byte("#!/bin/sh\nprintf 'echo right; exit 0\\n' >\"$1\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	d := converse(t, dir, []string{"EDITOR=" + editor}, "run", "--debug", "--break", "build:2", "--engine", "host")
	d.expect(`\(build:1\) `)
	d.line("save")
	d.expect(`no command was edited`)
	d.line("e")
	d.expect(`\nright\n`)
	d.expect(`stopped before build:2`)
	if text, _ := os.ReadFile(filepath.Join(dir, "buildspec.yml")); string(text) != spec {
		t.Fatalf("edit has changed the buildspec:\n%s", text)
	}
	d.line("save")
	d.expect(`\+      - echo right; exit 0   # a comment`)
	d.expect(`Write this to the buildspec\? \[y/N\] `)
	d.line("y")
	d.expect(`written`)
	d.line("c")
	d.ends(0)
	want := strings.Replace(spec, "echo wrong; false", "echo right; exit 0", 1)
	if text, _ := os.ReadFile(filepath.Join(dir, "buildspec.yml")); string(text) != want {
		t.Errorf("the buildspec is\n%s\nwant\n%s", text, want)
	}
}

// TestDebug_Interrupt checks that Ctrl-C ends the running command, and that the second one ends the
// build.
func TestDebug_Interrupt(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		dir := sourceWith(t, `version: 0.2
phases:
  build:
    commands:
      - echo waiting; sleep 300
      - trap '' INT TERM; echo stubborn; while :; do sleep 1; done
`)
		d := converse(t, dir, nil, append([]string{"run", "--debug"}, flags...)...)
		d.expect(`\nwaiting\n`)
		d.keys("\x03")
		d.expect(`build:1, which was interrupted`)
		d.expect(`\(build:1\) `)
		d.keys("wh\x03") // clears the line
		d.line("ere")
		d.expect(`no command ere`)
		d.line("i")
		d.expect(`\nstubborn\n`)
		d.keys("\x03")
		d.expect(`Ctrl-C again stops the build`)
		d.keys("\x03")
		d.expect(`STOPPED after`)
		d.ends(130)
	})
}

// TestDebug_Abort checks that a build that was stopped at the prompt leaves nothing.
func TestDebug_Abort(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		dir := sourceWith(t, "version: 0.2\nphases: {build: {commands: ['false']}}\nartifacts: {files: ['**/*']}\n")
		tmp := t.TempDir()
		d := converse(t, dir, []string{"TMPDIR=" + tmp}, append([]string{"run", "--debug"}, flags...)...)
		d.expect(`\(build:1\) `)
		d.keys("\x03\x03")
		d.expect(`STOPPED after`)
		d.ends(130)
		if left := leftoversOf(t, dir); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		if _, err := os.Stat(filepath.Join(dir, ".buildlocal/latest/artifacts")); err == nil {
			t.Error("artifacts were collected")
		}
	})
}

// TestDebug_SameLog checks that a build with a stop has the same log as one without.
func TestDebug_SameLog(t *testing.T) {
	t.Parallel()
	const spec = `version: 0.2
phases:
  build: {commands: [echo one, 'false', echo no]}
  post_build: {commands: ['echo "succeeding: $CODEBUILD_BUILD_SUCCEEDING"']}
`
	logOf := func(dir string) string {
		text, err := os.ReadFile(filepath.Join(dir, ".buildlocal/latest/log.txt"))
		if err != nil {
			t.Fatal(err)
		}
		changing := regexp.MustCompile(`\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d+|[0-9a-f-]{36}|src\d+|0\.\d+ seconds|/00\d+/`)
		return changing.ReplaceAllString(string(text), "X")
	}
	plain, stopped := sourceWith(t, spec), sourceWith(t, spec)
	if out, code := runHere(t, plain, "run", "--engine", "host", "--project-name", "p"); code != 1 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	d := converse(t, stopped, nil, "run", "--engine", "host", "--debug", "--project-name", "p")
	d.expect(`\(build:2\) `)
	d.line("env CODEBUILD_BUILD_SUCCEEDING")
	d.expect(`CODEBUILD_BUILD_SUCCEEDING  the service  1`)
	d.line("continue")
	d.expect(`FAILED in`)
	d.ends(1)
	if got, want := logOf(stopped), logOf(plain); got != want {
		t.Errorf("the log of a stopped build is\n%s\nwant\n%s", got, want)
	}
	if r := recordOf(t, stopped); r.ByHand != nil || r.Paused == 0 {
		t.Errorf("by hand %v, stopped for %d ms", r.ByHand, r.Paused)
	}
}

// TestDebug_Unattended checks that a stop without a terminal ends by itself, and changes no verdict.
func TestDebug_Unattended(t *testing.T) {
	t.Parallel()
	dir := sourceWith(t, "version: 0.2\nphases: {build: {commands: ['false']}}\n")
	began := time.Now()
	out, code := runHere(t, dir, "run", "--engine", "host", "--debug", "--pause-for", "1s")
	if code != 1 || time.Since(began) < time.Second {
		t.Errorf("exit code %d after %v: %s", code, time.Since(began), out)
	}
	if !regexp.MustCompile(`stopped at the failure of build:1: buildlocal attach 1-[0-9a-f]+, or`).MatchString(out) {
		t.Errorf("the output names no way to attach:\n%s", out)
	}
	if r := recordOf(t, dir); len(r.ByHand) > 0 {
		t.Errorf("by hand %v", r.ByHand)
	}
}

// TestDebug_Attach continues a build from another terminal.
func TestDebug_Attach(t *testing.T) {
	t.Parallel()
	dir := sourceWith(t, "version: 0.2\nphases: {build: {commands: ['false', echo next]}}\n")
	first := converse(t, dir, nil, "run", "--engine", "host", "--debug")
	first.expect(`\(build:1\) `)
	second := converse(t, dir, nil, "attach")
	second.expect(`has the prompt of this build. Take it over\? \[y/N\] `)
	second.line("y")
	second.expect(`error: command failed with exit status 1`)
	second.expect(`\(build:1\) `)
	first.expect(`has taken the prompt over`)
	second.line("i")
	second.ends(0)
	first.ends(0)
	if r := recordOf(t, dir); r.Status != runner.Succeeded {
		t.Errorf("status %s", r.Status)
	}
}

// TestDebug_Secrets checks that a secret is masked everywhere except in a shell and with --show, and
// that no file has it after the build.
func TestDebug_Secrets(t *testing.T) {
	t.Parallel()
	const canary = "canary-7f3a9c"
	dir := sourceWith(t, `version: 0.2
env: {parameter-store: {TOKEN: /the/token}}
phases: {build: {commands: [echo begun]}}
`)
	secrets := filepath.Join(t.TempDir(), "secrets.yml")
	if err := os.WriteFile(secrets, []byte("parameter-store: {/the/token: "+canary+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	home, tmp := t.TempDir(), t.TempDir()
	env := []string{"HOME=" + home, "XDG_STATE_HOME=", "TMPDIR=" + tmp}
	d := converse(t, dir, env, "run", "--engine", "host", "--break", "build", "--secrets", secrets)
	d.expect(`\(build:1\) `)
	d.line("env TOKEN")
	d.expect(`TOKEN  buildspec.yml:2  \*\*\*`)
	d.line("! echo \"is $TOKEN\"")
	d.expect(`\nis \*\*\*\n`)
	d.line("env --show TOKEN")
	d.expect(`TOKEN  buildspec.yml:2  ` + canary)
	d.line("! echo " + canary) // not in the history
	d.expect(`\n\*\*\*\n`)
	d.line("c")
	d.ends(0)
	for _, place := range []string{dir, home, tmp} {
		_ = filepath.WalkDir(place, func(name string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return nil
			}
			if text, _ := os.ReadFile(name); strings.Contains(string(text), canary) {
				t.Errorf("%s has the secret", name)
			}
			return nil
		})
	}
}

// TestDebug_Sync copies changed files of the source into the build, and keeps those that the build
// has changed too.
func TestDebug_Sync(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		dir := sourceWith(t, `version: 0.2
phases:
  build: {commands: [echo build >both.txt, cat both.txt both.txt.build edited.txt added.txt; ls]}
`)
		for _, name := range []string{"both.txt", "edited.txt", "removed.txt"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("old\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		d := converse(t, dir, nil, append([]string{"run", "--break", "build:2"}, flags...)...)
		d.expect(`\(build:2\) `)
		d.line("sync")
		d.expect(`the source has not changed`)
		for name, text := range map[string]string{"both.txt": "host\n", "edited.txt": "edit\n", "added.txt": "add\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Remove(filepath.Join(dir, "removed.txt")); err != nil {
			t.Fatal(err)
		}
		d.line("y")
		d.expect(`synced 3 files, removed 1`)
		d.expect(`both.txt was changed by the build too: its version is both.txt.build`)
		d.line("c")
		d.expect(`(?s)host\nbuild\nedit\nadd\n`)
		d.ends(0)
		if strings.Contains(d.printed(), "\nremoved.txt\n") {
			t.Errorf("removed.txt is still there:\n%s", d.printed())
		}
		if text, _ := os.ReadFile(filepath.Join(dir, "both.txt")); string(text) != "host\n" {
			t.Errorf("the source was changed: %q", text)
		}
	})
}

// TestDebug_Hangup checks that a stopped build outlives its terminal, and can be continued from
// another one.
func TestDebug_Hangup(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		dir := sourceWith(t, "version: 0.2\nphases: {build: {commands: ['false', echo next]}}\n")
		d := converse(t, dir, nil, append([]string{"run", "--debug"}, flags...)...)
		d.expect(`\(build:1\) `)
		d.host.Close()
		deadline := time.Now().Add(patience)
		for {
			out, _ := runHere(t, dir, "ps")
			if strings.Contains(out, "stopped at build:1") && strings.Contains(out, dir) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("ps does not show the stop:\n%s", out)
			}
		}
		if out, code := runHere(t, dir, "resume", "--ignore"); code != 0 {
			t.Fatalf("resume: exit code %d: %s", code, out)
		}
		d.ends(0)
		if r := recordOf(t, dir); r.Status != runner.Succeeded {
			t.Errorf("status %s", r.Status)
		}
	})
}

// TestDebug_Killed kills builds at stops. Nothing of them is left after prune.
func TestDebug_Killed(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		dir := sourceWith(t, "version: 0.2\nphases: {build: {commands: [codebuild-breakpoint, 'false']}}\n")
		for _, stops := range []int{1, 2} {
			tmp := t.TempDir()
			d := converse(t, dir, []string{"TMPDIR=" + tmp}, append([]string{"run", "--debug"}, flags...)...)
			d.expect(`stopped in codebuild-breakpoint`)
			d.expect(`\(build:1\) `)
			if stops == 2 {
				d.line("c")
				d.expect(`\(build:2\) `)
			}
			_ = d.cmd.Process.Kill()
			<-d.done
			prune := exec.Command("buildlocal", "prune")
			prune.Env = append(terminalEnviron(), "TMPDIR="+tmp)
			if out, err := prune.CombinedOutput(); err != nil {
				t.Errorf("prune: %v\n%s", err, out)
			}
			if left, _ := os.ReadDir(filepath.Join(tmp, "buildlocal-0")); len(left) > 0 {
				t.Errorf("left after prune: %v", left)
			}
			if left := leftoversOf(t, dir); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		}
	})
}

// TestDebug_EndOfFile checks that Ctrl-D asks once, and then continues.
func TestDebug_EndOfFile(t *testing.T) {
	t.Parallel()
	dir := sourceWith(t, "version: 0.2\nphases: {build: {commands: ['false']}}\n")
	d := converse(t, dir, nil, "run", "--engine", "host", "--debug")
	d.expect(`\(build:1\) `)
	d.keys("\x04")
	d.expect(`Continue the build\? \[y/N\] `)
	d.line("n")
	d.expect(`\(build:1\) `)
	d.line("! echo still here")
	d.expect(`\nstill here\n`)
	d.expect(`\(build:1\) `)
	d.keys("\x04")
	d.expect(`Continue the build\? \[y/N\] `)
	d.line("y")
	d.ends(1)
}

// TestDebug_Commit retries in a build of a commit, whose source cannot be synced.
func TestDebug_Commit(t *testing.T) {
	t.Parallel()
	dir := sourceWith(t, "version: 0.2\nphases: {build: {commands: ['[ -e made ]', echo green]}}\n")
	for _, args := range [][]string{
		{"init", "-q"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"},
	} {
		c := exec.Command("git", args...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	d := converse(t, dir, nil, "run", "--engine", "host", "--debug", "--source-mode", "commit")
	d.expect(`\(build:1\) `)
	d.line("! touch made")
	d.expect(`\(build:1\) `)
	d.line("r")
	d.expect(`note: the source is not synced`)
	d.expect(`\ngreen\n`)
	d.ends(0)
}

// TestDebug_Steps stops before each command, up to a place.
func TestDebug_Steps(t *testing.T) {
	t.Parallel()
	dir := sourceWith(t, `version: 0.2
phases:
  pre_build: {commands: [echo p1, echo p2]}
  build: {commands: [echo b1, echo b2, echo b3], finally: [echo f1]}
`)
	d := converse(t, dir, nil, "run", "--engine", "host", "--break", "pre_build:2")
	d.expect(`p1\n`)
	d.expect(`stopped before pre_build:2`)
	d.line("n")
	d.expect(`p2\n`)
	d.expect(`stopped before build:1`)
	d.line("") // repeats next
	d.expect(`b1\n`)
	d.expect(`stopped before build:2`)
	d.line("u build:end")
	d.expect(`f1\n`)
	d.expect(`stopped at the end of BUILD`)
	d.line("goto build:2")
	d.expect(`is behind`)
	d.line("goto build:3 --here")
	d.expect(`b3\n`)
	d.ends(0)
}
