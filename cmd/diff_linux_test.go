package cmd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDebug_Files lists the changed files at the prompt and from another terminal.
func TestDebug_Files(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		dir := sourceWith(t, `version: 0.2
phases:
  install:
    commands:
      - mkdir -p made /opt/tool; echo x >made/one; echo xy >made/two; echo x >/opt/tool/x; rm gone
      - export ADDED=1 STAGE=prod; unset OTHER; cd made
  build:
    commands:
      - echo x >by-build
      - echo x >by-last; false
env: {variables: {STAGE: dev, OTHER: x}}
`)
		if err := os.WriteFile(filepath.Join(dir, "gone"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		d := converse(t, dir, nil, append([]string{"run", "--debug"}, flags...)...)
		d.expect(`\(build:2\) `)
		d.line("files")
		d.expect(`changed by the last command:\n`)
		d.expect(`A .*/made/ +4 files, 9B`) // a new directory is one line
		d.expect(`\(build:2\) `)
		d.line("files all")
		d.expect(`D .*/gone`)
		d.expect(`A .*/opt/`)
		d.expect(`\(build:2\) `)
		out, code := runHere(t, dir, "diff", "--format", "json")
		var got struct {
			Files []struct {
				Path, Kind  string
				Files       *int
				SizeInBytes *int64
			}
			Variables []string
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 {
			t.Fatalf("exit %d, %v\n%s", code, err, out)
		}
		if want := "ADDED OTHER STAGE"; strings.Join(got.Variables, " ") != want {
			t.Errorf("the variables are %q, want %q", got.Variables, want)
		}
		kinds := map[string]string{}
		for _, f := range got.Files {
			if i := strings.Index(f.Path, "/src/"); i >= 0 {
				kinds[f.Path[i:]] = f.Kind
			}
		}
		if len(kinds) != 2 || kinds["/src/made/"] != "added" || kinds["/src/gone"] != "removed" {
			t.Errorf("the files of the source are %v", kinds)
		}
		if out, code := runHere(t, dir, "diff", "--name-only", "--format", "json"); code != 2 {
			t.Errorf("exit %d\n%s", code, out)
		}
		d.line("abort")
		d.ends(130)
	})
}
