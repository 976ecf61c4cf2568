package cmd_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/runner"
)

// TestDebug_SameEnvironment checks that a process at a stop has exactly the variables, the directory
// and the user of the next command.
func TestDebug_SameEnvironment(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		dir := sourceWith(t, `version: 0.2
phases:
  pre_build:
    commands:
      - export B=1; mkdir sub; cd sub
      - X=5; unset HOSTNAME; name=n file=f word=w cwd=c
      - EMOJI='é "quoted" $HOME `+"`x`"+`   '
  build:
    commands:
      - env -0 >"$CODEBUILD_SRC_DIR/command"; pwd; id -u
artifacts: {files: [command]}
`)
		lines := "first\nexport PATH=/x\n  last 'q' \\ "
		d := converse(t, dir, nil, append([]string{"run", "--break", "build:1", "-e", "LINES_OF=" + lines}, flags...)...)
		d.expect(`\(build:1\) `)
		out, code := runHere(t, dir, "exec", "--", "env", "-0")
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, out)
		}
		where, _ := runHere(t, dir, "exec", "--", "sh", "-c", "pwd; id -u")
		d.line("c")
		place := d.expect(`(?s)/codebuild/\S+/sub\n\d+\n`)
		d.ends(0)
		if where != place {
			t.Errorf("exec is at %q, the command at %q", where, place)
		}
		command, err := os.ReadFile(filepath.Join(dir, ".buildlocal/latest/artifacts/command"))
		if err != nil {
			t.Fatal(err)
		}
		got, want := variables(out), variables(string(command))
		for _, v := range want {
			if !slices.Contains(got, v) {
				t.Errorf("exec does not have %q", v)
			}
		}
		for _, v := range got {
			if !slices.Contains(want, v) {
				t.Errorf("exec has %q, the command has not", v)
			}
		}
		if !slices.Contains(want, "LINES_OF="+lines) || !slices.Contains(want, "X=5") {
			t.Errorf("the command has %q", want)
		}
		if by := recordOf(t, dir).ByHand; runner.ByHandText(by) != "2 commands run" {
			t.Errorf("by hand: %v", by)
		}
	})
}

// variables returns variables that are separated by NUL, without those that every shell sets.
func variables(text string) []string {
	return slices.DeleteFunc(strings.Split(strings.TrimSuffix(text, "\x00"), "\x00"), func(v string) bool {
		return strings.HasPrefix(v, "_=") || strings.HasPrefix(v, "SHLVL=") || strings.HasPrefix(v, "OLDPWD=")
	})
}

// TestDebug_Shell looks into a failed command with a shell, and keeps its changes.
func TestDebug_Shell(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		dir := sourceWith(t, `version: 0.2
phases:
  build:
    commands:
      - A=one; mkdir sub; cd sub
      - echo "is $A in $PWD"; [ "$A" = two ]
      - echo "then $A in $PWD"
`)
		d := converse(t, dir, nil, append([]string{"run", "--debug"}, flags...)...)
		d.expect(`stopped at the failure of build:2`)
		d.expect(`\(build:2\) `)
		d.line("shell")
		d.expect(`#1 build:2\] `)
		d.line(`echo "[$A] $(pwd)"; A=two; cd ..`)
		d.expect(`\[one\] /codebuild/\S+/sub`)
		d.expect(`#1 build:2\] `)
		d.line("exit")
		d.expect(`1 variable and the directory changed. Keep them in the build\? \[y/N\] `)
		d.line("y")
		d.expect(`\(build:2\) `)
		d.line("r")
		d.expect(`is two in /codebuild/\S+/src\n`)
		d.expect(`then two in /codebuild/\S+/src\n`)
		d.expect(`by hand +1 shell, 1 variable set, 1 change of directory, 1 command retried`)
		d.expect(`SUCCEEDED in .*by hand`)
		d.ends(0)
	})
}

// TestDebug_Images opens a shell in images with different shells.
func TestDebug_Images(t *testing.T) {
	t.Parallel()
	flags := engines(t)
	if flags["docker"] == nil {
		t.Skip("no Docker engine here")
	}
	for _, image := range []string{"sh-only", "busybox", "base", "odd"} {
		t.Run(image, func(t *testing.T) {
			t.Parallel()
			dir := sourceWith(t, `version: 0.2
phases:
  build: {commands: ['A=b; codebuild-breakpoint; echo past', 'exit 3']}
`)
			d := converse(t, dir, nil, "run", "--engine", "docker", "-i", "buildlocal-test/"+image, "--debug")
			d.expect(`stopped in codebuild-breakpoint`)
			d.line("s")
			d.expect(`#1 build:1\] \S+/src`)
			d.line("echo is $A")
			d.expect(`is b\n`)
			d.line("exit")
			d.expect(`\(build:1\) `)
			d.line("c")
			d.expect(`past\n`)
			d.expect(`\(build:2\) `)
			d.line("s")
			d.expect(`#1 build:2\] \S+/src`)
			d.line("exit")
			d.expect(`\(build:2\) `)
			d.line("c")
			d.ends(1)
		})
	}
}

// TestDebug_Bash checks that the variables of commands that run in bash are there although sh is
// another shell, and that a retry keeps the changes of "!!" and counts those of the command once.
func TestDebug_Bash(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"host", "docker"} {
		flags := engines(t)[engine]
		if flags == nil {
			continue
		}
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			dir := sourceWith(t, `version: 0.2
env: {shell: bash}
phases:
  build:
    commands:
      - export A=$'tab\there'; declare -a LIST=(1 2); B=2
      - N=$((N+1)); echo "N is $N, Y is $Y"; [ -n "$OK" ]
`)
			d := converse(t, dir, nil, append([]string{"run", "--debug", "--break", "build:2 if [ \"$B\" = 2 ]"}, flags...)...)
			d.expect(`stopped before build:2`)
			d.line("n")
			d.expect(`N is 1, Y is \n`)
			d.expect(`\(build:2\) `)
			d.line("! echo \"[$A] [$B]\"")
			d.expect(`\n\[tab\there\] \[2\]\n`)
			if out, code := runHere(t, dir, "exec", "--", "sh", "-c", `echo "$A $B"`); out != "tab\there 2\n" || code != 0 {
				t.Errorf("exec: exit code %d: %q", code, out)
			}
			d.line("!! Y=yes")
			d.expect(`\(build:2\) `)
			d.line("set OK=1")
			d.expect(`\(build:2\) `)
			d.line("r")
			d.expect(`N is 1, Y is yes\n`)
			d.ends(0)
		})
	}
}

// TestDebug_DirectoryGone opens a shell after the failed command has removed its own directory.
func TestDebug_DirectoryGone(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		dir := sourceWith(t, "version: 0.2\nphases: {build: {commands: ['mkdir x; cd x; rmdir ../x; false']}}\n")
		d := converse(t, dir, nil, append([]string{"run", "--debug"}, flags...)...)
		d.expect(`\(build:1\) `)
		d.line("s")
		d.expect(`the directory of the last command no longer exists; this is\s+/codebuild/\S+/src`)
		d.expect(`#1 build:1\] /codebuild/\S+/src `)
		d.line("exit")
		d.expect(`\(build:1\) `)
		d.line("q")
		d.ends(130)
	})
}

// TestDebug_StartFiles checks that a shell reads no start files of the image, which could change PATH.
func TestDebug_StartFiles(t *testing.T) {
	t.Parallel()
	flags := engines(t)["docker"]
	if flags == nil {
		t.Skip("no Docker engine here")
	}
	dir := sourceWith(t, `version: 0.2
phases:
  build:
    commands:
      - |
        for f in /root/.bashrc /root/.bash_profile /root/.profile /etc/profile; do
          echo 'export PATH=/evil:$PATH' >>$f
        done
      - 'false'
`)
	d := converse(t, dir, nil, append([]string{"run", "--debug"}, flags...)...)
	d.expect(`\(build:2\) `)
	d.line("s")
	d.expect(`#1 build:2\] `)
	d.line(`case $PATH in *evil*) echo changed ;; *) echo un"changed" ;; esac; exit`)
	d.expect(`unchanged\n`)
	d.expect(`\(build:2\) `)
	d.line("q")
	d.ends(130)
}

// TestDebug_Dumb checks that a terminal without control sequences gets none, and plain ASCII.
func TestDebug_Dumb(t *testing.T) {
	t.Parallel()
	dir := sourceWith(t, "version: 0.2\nphases: {build: {commands: ['false', echo end]}}\n")
	d := converse(t, dir, []string{"TERM=dumb", "LC_ALL=C"}, "run", "--engine", "host", "--debug")
	for _, line := range []string{"help", "where", "env CODEBUILD_CI", "break", "zzz", "output"} {
		d.expect(`\(build:1\) `)
		d.line(line)
	}
	d.expect(`\(build:1\) `)
	d.line("i")
	d.ends(0)
	for line := range strings.Lines(d.printed()) {
		if strings.ContainsFunc(line, func(r rune) bool { return r > 0x7e || r < ' ' && r != '\n' && r != '\t' }) {
			t.Errorf("not plain: %q", line)
		}
	}
}
