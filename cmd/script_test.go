package cmd_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/buildlocal/buildlocal/cmd"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/sandbox"
	"github.com/buildlocal/buildlocal/internal/relay"
)

// TestMain lets scripts run the program: it is this test's own binary.
func TestMain(m *testing.M) {
	testscript.Main(withoutRemains{m}, map[string]func(){"buildlocal": program, relay.Name: program})
}

// withoutRemains runs tests whose scripts leave no directories: testscript removes its own only after
// all scripts of a directory, and not if some were not selected with -run.
type withoutRemains struct{ *testing.M }

// Run runs the tests. Directories with files stay, which -testwork asks for.
func (m withoutRemains) Run() int {
	dir, err := os.MkdirTemp("", "t") // short, because sockets are below it
	if err != nil {
		panic(err)
	}
	// Scripts run builds as other users.
	if err := errors.Join(os.Chmod(dir, 0o755), os.Setenv("GOTMPDIR", dir)); err != nil {
		panic(err)
	}
	defer func() {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
		_ = os.Remove(dir)
	}()
	return m.M.Run()
}

// program is main.
func program() { os.Exit(cmd.Execute(os.Args[1:], "test")) }

// hasSandbox reports whether sandboxes work on this machine. With BUILDLOCAL_REQUIRE_ENGINE
// they have to.
func hasSandbox(t *testing.T) bool {
	t.Helper()
	if runtime.GOOS != "linux" {
		return false
	}
	c, err := sandbox.New(sandbox.Options{Mode: sandbox.Host, Path: os.Getenv("PATH")}).
		Start(t.Context(), engine.Spec{Name: "probe", Mounts: engine.Mounts{Temp: t.TempDir()}})
	if err == nil {
		err = c.Close(t.Context())
	}
	if err != nil && os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") != "" {
		t.Fatal(err)
	}
	return err == nil
}

// TestScripts runs the whole program as users do: the scripts of testdata/script, each about
// one subject, which its first line describes. The condition [docker] is true if a Docker
// engine can be reached, [host] if sandboxes work.
func TestScripts(t *testing.T) { runScripts(t, "../testdata/script") }

// TestScripts_Validate runs the scripts of commands that start no build.
func TestScripts_Validate(t *testing.T) { runScripts(t, "../testdata/script/validate") }

// runScripts runs the scripts in a directory. The functions change the parameters.
func runScripts(t *testing.T, dir string, change ...func(*testscript.Params)) {
	t.Helper()
	t.Parallel()
	reachable := os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") != ""
	if e, err := docker.Connect(docker.Options{Host: os.Getenv("DOCKER_HOST"), Home: os.Getenv("HOME")}); err == nil {
		reachable = reachable || e.Ping(t.Context()) == nil
	}
	p := testscript.Params{
		Dir: dir, UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("DOCKER_HOST", os.Getenv("DOCKER_HOST"))
			env.Setenv("GORACE", "atexit_sleep_ms=0") // otherwise every run sleeps for a second
			env.Setenv("TMPDIR", env.Getenv("WORK")+"/.tmp")
			env.Vars = append(
				env.Vars,
				"GIT_AUTHOR_NAME=a",
				"GIT_AUTHOR_EMAIL=a@example.com",
				"GIT_COMMITTER_NAME=a",
				"GIT_COMMITTER_EMAIL=a@example.com",
				"GIT_CONFIG_GLOBAL=/dev/null",
			)
			return os.MkdirAll(env.Getenv("WORK")+"/.tmp", 0o755)
		},
		Condition: func(name string) (bool, error) {
			_, noEmulator := os.Stat("/proc/sys/fs/binfmt_misc/qemu-s390x")
			return name == "docker" && reachable || name == "host" && hasSandbox(t) || name == "foreign" && noEmulator == nil,
				nil
		},
	}
	for _, f := range change {
		f(&p)
	}
	testscript.Run(t, p)
}
