package cmd_test

import (
	"testing"

	"github.com/buildlocal/buildlocal/runner"
)

// TestDebug_GoesBack restores snapshots at the prompt, on each engine: files, variables and directory
// are those of the end of the phase, and the build goes on from there.
func TestDebug_GoesBack(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		env, _ := snapshotEnv(t)
		dir := sourceWith(t, `version: 0.2
phases:
  install:
    commands:
      - mkdir made; cd made; echo installed >>log; echo outside >>/log; export N=1
  build:
    commands:
      - echo built >>log; echo built >>/log; export N=$((N+1)); cd ..
      - echo "N is $N in ${PWD##*/}, $(cat made/log /log | tr '\n' ' ')"; cat flag
      - echo "the end of $N"
artifacts: {files: [made/log]}
`)
		d := converse(t, dir, env, append([]string{"run", "--debug"}, flags...)...)
		const state = `N is 2 in src, installed built outside built \n`
		d.expect(state)
		d.expect(`\(build:2\) `)
		d.line("! echo changed >>made/log; rm /log")
		d.expect(`\(build:2\) `)
		writeSource(t, dir, map[string]string{"flag": "flag of the host\n"})
		d.line("retry --clean")
		d.expect("restoring the end of INSTALL")
		d.expect(state)
		d.expect("flag of the host")
		d.expect("the end of 2")
		d.expect(`SUCCEEDED in .*, by hand`)
		d.ends(0)
		if r := recordOf(t, dir); r.Status != runner.Succeeded || len(r.ByHand) == 0 {
			t.Errorf("the record is %s, by hand %v", r.Status, r.ByHand)
		}

		d = converse(t, dir, env, append([]string{"run", "--debug", "--break", "build:3"}, flags...)...)
		d.expect(`\(build:3\) `)
		d.line("goto build:2")
		d.expect("restoring the end of INSTALL")
		d.expect(`stopped before build:2`)
		d.expect(`\(build:2\) `)
		d.line("goto install:1")
		d.expect("install:1 is behind: there is no snapshot of a phase before INSTALL")
		d.expect(`\(build:2\) `)
		d.line("continue")
		d.expect(state)
		d.expect(`\(build:3\) `)
		d.line("continue")
		d.expect("the end of 2")
		d.ends(0)
	})
}
