package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// clientModules is the directory in which make installs Microsoft's client for debug adapters.
const clientModules = "../bin/dapclient/node_modules"

// need skips a test if a file or a program is missing; in CI it fails.
func need(t *testing.T, name, hint string) {
	t.Helper()
	_, err := exec.LookPath(name)
	if _, fileErr := os.Stat(name); fileErr == nil {
		err = nil
	}
	switch {
	case err != nil && os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") != "":
		t.Fatalf("%s is missing: %s", name, hint)
	case err != nil:
		t.Skipf("%s is missing: %s", name, hint)
	}
}

// programPath returns the absolute path of the program for another one that starts it.
func programPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("buildlocal")
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// runNode runs a script of testdata/dap, which prints ok.
func runNode(t *testing.T, script string, args ...string) {
	t.Helper()
	need(t, "node", "scripts/setup tests")
	c := exec.Command("node", append([]string{"../testdata/dap/" + script}, args...)...)
	c.Env = terminalEnvironment()
	if out, err := c.CombinedOutput(); err != nil || string(out) != "ok\n" {
		t.Errorf("%s: %v\n%s", script, err, out)
	}
}

// absolute returns the absolute name of a file.
func absolute(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// terminalEnvironment is the environment of a user outside of CI.
func terminalEnvironment() []string { return append(os.Environ(), "CI=", "GITHUB_ACTIONS=") }

// TestDAP_WithMicrosoftsClient debugs a build with the client with which VS Code's own adapters are
// tested.
func TestDAP_WithMicrosoftsClient(t *testing.T) {
	t.Parallel()
	if !hasSandbox(t) {
		t.Skip("needs the engine host")
	}
	need(t, clientModules, "make "+clientModules[3:])
	dir := t.TempDir()
	spec := "version: 0.2\nphases:\n  build:\n    commands:\n" +
		"      - echo one\n      - echo two\n      - false\n      - echo four\n"
	if err := os.WriteFile(filepath.Join(dir, "buildspec.yml"), []byte(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	runNode(t, "dap.js", programPath(t), dir, absolute(t, clientModules))
}

// TestVSCode_Extension activates the extension of VS Code.
func TestVSCode_Extension(t *testing.T) {
	t.Parallel()
	runNode(t, "vscode.js", absolute(t, "../editors/vscode"), programPath(t))
}

// TestDAP_WithEmacs debugs a build with dap-mode of Emacs.
func TestDAP_WithEmacs(t *testing.T) {
	t.Parallel()
	if !hasSandbox(t) {
		t.Skip("needs the engine host")
	}
	need(t, "emacs", "scripts/setup tests")
	mode := "dap-mode of Emacs"
	if found, _ := filepath.Glob("/usr/share/emacs/site-lisp/elpa-src/dap-mode-*"); len(found) > 0 {
		mode = found[0]
	}
	need(t, mode, "scripts/setup tests")
	dir := t.TempDir()
	spec := "version: 0.2\nenv: {variables: {STAGE: dev}}\nphases:\n  build:\n    commands:\n" +
		"      - echo one\n      - echo two\n      - echo three\n      - echo four\n"
	if err := os.WriteFile(filepath.Join(dir, "buildspec.yml"), []byte(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("emacs", "--batch", "--no-init-file", "--no-site-file", "--eval", "(package-initialize)", "-l",
		absolute(t, "../testdata/dap/emacs.el"))
	c.Dir = dir
	path := "PATH=" + filepath.Dir(programPath(t)) + ":" + os.Getenv("PATH")
	temp := t.TempDir()
	c.Env = append(terminalEnvironment(), "DIR="+dir, "HOME="+t.TempDir(), "TMPDIR="+temp, path)
	var errs strings.Builder
	c.Stderr = &errs // warnings, if nothing fails
	out, err := c.Output()
	want := "stopped at line 8: build:3  echo three\nstopped at line 9: build:4  echo four\nSTAGE is dev\nterminated\n"
	if diff := cmp.Diff(want, string(out)); err != nil || diff != "" {
		t.Errorf("%v\n%s\n%s", err, diff, errs.String())
	}
	// Emacs kills the program when the build has ended.
	if left, _ := filepath.Glob(filepath.Join(temp, "buildlocal*", "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
