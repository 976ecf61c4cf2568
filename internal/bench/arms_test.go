package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestArms_ConfigHasCommands(t *testing.T) {
	t.Parallel()
	j := job{commands: []string{"true", `echo "it's" 1: # \n`}, source: true}
	for _, c := range []struct {
		got  config
		want string
	}{
		{buildspec(j), `version: 0.2
phases:
  build:
    commands:
      - "true"
      - "echo \"it's\" 1: # \\n"
`},
		{workflow(j), `on: push
jobs:
  bench:
    runs-on: bench
    steps:
      - uses: actions/checkout@v4
      - run: |
          true
          echo "it's" 1: # \n
`},
		{gitlabCI(j, "image:1"), `bench:
  image: "image:1"
  script:
    - "true"
    - "echo \"it's\" 1: # \\n"
`},
		{woodpecker(j, "image:1"), `when:
  - event: manual
steps:
  - name: bench
    image: "image:1"
    commands:
      - "true"
      - "echo \"it's\" 1: # \\n"
`},
	} {
		if c.got.text != c.want {
			t.Errorf("%s:\n%swant\n%s", c.got.name, c.got.text, c.want)
		}
	}
}

func TestConfig_KeepsExistingFile(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), config{"a/b.yml", "text"}
	if err := c.write(dir); err != nil {
		t.Fatal(err)
	}
	path, old := filepath.Join(dir, "a", "b.yml"), time.Unix(1_000_000_000, 0)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	if err := c.write(dir); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || !info.ModTime().Equal(old) {
		t.Errorf("file was written again: %v, %v", info, err)
	}
}

func TestArms_RequireBuildlocal(t *testing.T) {
	t.Parallel()
	b := &bench{options: options{program: filepath.Join(t.TempDir(), "none"), rounds: 7}, temp: t.TempDir()}
	b.daemonless.user = &credential{}
	for _, a := range b.arms(job{workload: "W3 git", source: true, rounds: 7}) {
		if got, want := a.result.Failure != "", strings.HasPrefix(a.result.Arm, buildlocal); got != want {
			t.Errorf("%s: failure %q", a.result.Arm, a.result.Failure)
		}
	}
}

func TestFlags_Invalid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args, want string
	}{
		{"-only w1,STARTUP", ""},
		{"-only W9", `unknown workload "W9"; known are W1, W2, W3, W4, W5, W6, W7, startup`},
		{"-n 0", "at least one round"},
		{"W1", `unexpected argument "W1"`},
	} {
		var stderr bytes.Buffer
		o, err := parse(strings.Fields(c.args), &stderr)
		if c.want == "" {
			if got := strings.Join(o.only, " "); err != nil || got != "W1 startup" {
				t.Errorf("%s: %q, %v", c.args, got, err)
			}
			continue
		}
		if err == nil || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%s: said %q, want %q", c.args, &stderr, c.want)
		}
	}
}
