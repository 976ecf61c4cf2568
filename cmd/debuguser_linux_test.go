package cmd_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asNobody is a build whose failed command prints its user and its home.
const asNobody = `version: 0.2
phases: {build: {run-as: nobody, commands: ['id -un; echo "home $HOME"; false']}}
`

// TestDebug_User checks that shells and commands run as the user of the phase, and with the HOME of the
// build.
func TestDebug_User(t *testing.T) {
	t.Parallel()
	all := engines(t)
	if all["docker"] == nil {
		t.Skip("no Docker engine here, which has the image")
	}
	flags := map[string][]string{"docker": all["docker"]}
	if all["sandbox"] != nil && !isNonRoot() {
		flags["sandbox"] = []string{"--engine", "sandbox", "-i", "tar:" + savedImage(t, "base")}
	}
	for engine, flags := range flags {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			d := converse(t, sourceWith(t, asNobody), nil, append([]string{"run", "--debug"}, flags...)...)
			home := d.expect(`nobody\nhome .*\n`)
			same := strings.ReplaceAll(home, "\n", `\n`)
			d.expect(`\(build:1\) `)
			d.line(`! id -un; echo "home $HOME"`)
			d.expect(same)
			d.expect(`\(build:1\) `)
			d.line("shell")
			d.expect(`#1 build:1\] `)
			d.line(`id -un; echo "home $HOME"; exit`)
			d.expect(same)
			d.expect(`\(build:1\) `)
			d.line("shell --user=root")
			d.expect(`#1 build:1\] `)
			d.line("id -un; exit")
			d.expect(`root\n`)
			d.expect(`\(build:1\) `)
			d.line("q")
			d.ends(130)
		})
	}
}

// TestDebug_SingleID runs a build of another user in a sandbox that has only one: this user has no
// subordinate IDs. The build cannot be debugged, and the message has the ways out.
func TestDebug_SingleID(t *testing.T) {
	t.Parallel()
	if !hasSandbox(t) || isNonRoot() || engines(t)["docker"] == nil {
		t.Skip("root starts this test, on a machine that makes sandboxes and has the image")
	}
	const user = 20123
	dir := copyTestsFor(t, user, user)
	image, source := filepath.Join(dir, "base.tar"), filepath.Join(dir, "tmp", "src")
	spec := filepath.Join(source, "buildspec.yml")
	if err := errors.Join(
		os.Rename(savedImage(t, "base"), image), os.Chmod(image, 0o644), os.Mkdir(source, 0o755),
		os.Chown(source, user, user), os.WriteFile(spec, []byte(asNobody), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(filepath.Join(dir, "cmd", "cmd.test"))
	c.Args = []string{"buildlocal", "run", "--debug", "--engine", "sandbox", "-i", "tar:" + image}
	c.Dir = source
	c.Env = append(terminalEnviron(), "HOME="+filepath.Join(dir, "tmp"), "TMPDIR="+filepath.Join(dir, "tmp"))
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	out, _ := c.CombinedOutput()
	text := strings.Join(strings.Fields(string(out)), " ")
	if code := c.ProcessState.ExitCode(); code != 4 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{
		"FAULT", "error: ", "the sandbox of a non-root user has only the user root", "hint: omit run-as",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if strings.Contains(text, "stopped") {
		t.Errorf("the build stopped:\n%s", out)
	}
}
