package cmd_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// promptSpec is a build whose failed command is longer than a terminal is wide.
const promptSpec = `version: 0.2
env: {variables: {STAGE: dev}}
phases:
  pre_build:
    commands:
      - export VERSION=1.2.3
  build:
    commands:
      - mkdir -p out/reports && echo one >out/one.txt
      - printf 'compiling %s\n' alpha beta gamma
      - |
        export TARGETS="linux/amd64 linux/arm64 darwin/arm64 windows/amd64 freebsd/amd64 openbsd/amd64 netbsd/amd64"
        for target in $TARGETS; do
          echo "building the program for the operating system and the architecture of $target" >>out/two.txt
        done
        exit 3
      - echo done
    finally:
      - echo cleaned
  post_build:
    commands: [echo bye]
`

// varying are the parts of a screen that differ between builds, with their replacements. Columns are
// aligned at other cells.
var varying = []struct{ pattern, replacement string }{
	{`exit 3 after .*`, "exit 3 after TIME"},
	{`/src\d+`, "/srcN"},
	{`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`, "UUID"},
	{`(CODEBUILD_START_TIME\S* .* )\d{13}`, "${1}MILLISECONDS"},
	{`(CODEBUILD_INITIATOR\S* .* )\S+`, "${1}USER"},
	{`(HOSTNAME\S* .* )[0-9a-f]{12}`, "${1}HEX"},
}

// TestPrompt_Screens compares the screens of the prompt on several terminals with
// testdata/console/prompt-*.txt.
func TestPrompt_Screens(t *testing.T) {
	t.Parallel()
	flags := engines(t)["docker"]
	if flags == nil {
		t.Skip("no Docker engine here")
	}
	for _, test := range []struct {
		name    string
		columns uint16
		env     []string
	}{
		{"80", 80, nil},
		{"dumb", 80, []string{"TERM=dumb"}},
		{"color-200", 200, []string{"NO_COLOR=", "TERM=xterm-256color"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(sourceWith(t, ""), "shop") // the name of the directory is that of the project
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "buildspec.yml"), []byte(promptSpec), 0o644); err != nil {
				t.Fatal(err)
			}
			env := append(test.env, "BUILDLOCAL_REGION=us-east-1", "BUILDLOCAL_BREAK=post_build:1")
			d := converseIn(t, test.columns, dir, env, append([]string{"run", "--debug"}, flags...)...)
			// The lines above are those of every build, and may have a line with the progress.
			d.expect(`build:3\S*  \S+ exit 3`)
			begin := len(d.matched()) - len("exit 3")
			for _, line := range []string{"where", "list", "env", "files", "help"} {
				d.expect(`\(build:3\) `)
				d.line(line)
			}
			d.expect(`\(build:3\) `)
			screen := d.matched()[begin:]
			d.line("q")
			d.ends(130)
			for _, v := range varying {
				screen = regexp.MustCompile(v.pattern).ReplaceAllString(screen, v.replacement)
			}
			comparePrompt(t, test.name, screen)
		})
	}
}

// comparePrompt compares a screen with its file, in which escape characters are visible.
func comparePrompt(t *testing.T, name, screen string) {
	t.Helper()
	file := filepath.Join("..", "testdata", "console", "prompt-"+name+".txt")
	got := strings.ReplaceAll(screen, "\x1b", "␛") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: go test ./cmd -run TestPrompt_Screens -update rewrites it; got\n%s\nwant\n%s", file, got, want)
	}
}

// TestPrompt_Resized prints the help on a terminal that becomes narrow.
func TestPrompt_Resized(t *testing.T) {
	t.Parallel()
	dir := sourceWith(t, "version: 0.2\nphases: {build: {commands: ['false']}}\n")
	if !hasSandbox(t) {
		t.Skip("no sandbox here")
	}
	d := converse(t, dir, nil, "run", "--debug", "--engine", "host")
	d.expect(`\(build:1\) `)
	d.line("help")
	d.expect(`open a shell with the variables and in the directory of the next command\n`)
	d.expect(`\(build:1\) `)
	const narrow = 60
	if err := unix.IoctlSetWinsize(int(d.host.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: narrow}); err != nil {
		t.Fatal(err)
	}
	d.line("help")
	help := d.expect(`(?s)continue .*\(build:1\) `)
	for line := range strings.Lines(help) {
		if len(strings.TrimSuffix(line, "\n")) > narrow {
			t.Errorf("the line has %d columns: %s", len(line)-1, line)
		}
	}
	if !strings.Contains(help, "in\n") {
		t.Errorf("the help is not wrapped:\n%s", help)
	}
	d.line("q")
	d.ends(130)
}
