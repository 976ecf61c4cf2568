package cmd_test

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/buildlocal/buildlocal/cmd"
	"github.com/buildlocal/buildlocal/engine/docker"
)

// TestMain lets scripts run the program: it is this test's own binary.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"buildlocal": program})
}

// program is main.
func program() { os.Exit(cmd.Execute(os.Args[1:], "test")) }

// TestScripts runs the whole program as a person does: testdata/script, one
// intent a file, its first line the sentence it proves. The condition [docker]
// holds where an engine answers.
func TestScripts(t *testing.T) { play(t, "../testdata/script") }

// TestValidateScripts does so for what is checked without a build.
func TestValidateScripts(t *testing.T) { play(t, "../testdata/script/validate") }

func play(t *testing.T, dir string) {
	t.Helper()
	t.Parallel()
	engine := os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") != ""
	if e, err := docker.Connect(docker.Options{Host: os.Getenv("DOCKER_HOST"), Home: os.Getenv("HOME")}); err == nil {
		engine = engine || e.Ping(t.Context()) == nil
	}
	testscript.Run(t, testscript.Params{
		Dir: dir, UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("DOCKER_HOST", os.Getenv("DOCKER_HOST"))
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else every run sleeps a second
			env.Setenv("TMPDIR", env.Getenv("WORK")+"/.tmp")
			env.Vars = append(env.Vars, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_CONFIG_GLOBAL=/dev/null")
			return os.MkdirAll(env.Getenv("WORK")+"/.tmp", 0o755)
		},
		Condition: func(name string) (bool, error) { return name == "docker" && engine, nil },
	})
}
