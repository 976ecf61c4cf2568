package cmd_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/runner"
)

// slowStart is a buildspec whose INSTALL writes below the source and elsewhere, and whose BUILD fails
// without the file flag.
const slowStart = `version: 0.2
env: {variables: {STAGE: dev}}
phases:
  install:
    commands:
      - mkdir -p made /opt/tool; echo of-$STAGE >made/file; echo tool >/opt/tool/file; echo changed >given; rm gone
      - echo of-tmp >/tmp/of-install; chmod 600 /tmp/of-install
      - export GREETING="it's $STAGE"; X=5; cd made
  pre_build:
    commands:
      - echo prepared >prepared
  build:
    commands:
      - all=$(cat file prepared ../given /opt/tool/file /tmp/of-install | tr '\n' ' ')
      - echo "<$GREETING $X $all""in ${PWD##*/}>"; ls ..
      - echo "build $CODEBUILD_BUILD_NUMBER in $CODEBUILD_SRC_DIR"; cat ../src.txt ../flag
artifacts: {files: [made/file]}
`

// snapshotEnv returns the environment of a user with a cache directory of its own, and the directory of
// snapshots in it. At the end, the snapshots are removed.
func snapshotEnv(t *testing.T) (env []string, dir string) {
	t.Helper()
	cache := t.TempDir()
	env = []string{"XDG_CACHE_HOME=" + cache, "BUILDLOCAL_SNAPSHOTS=always"}
	t.Cleanup(func() {
		if out, code := runWith(t, ".", env, "snapshot", "prune", "--all"); code != 0 {
			t.Errorf("remove the snapshots: exit %d\n%s", code, out)
		}
	})
	return env, filepath.Join(cache, "buildlocal", "snapshots")
}

// snapshotSource returns a source with a buildspec and the files that it needs.
func snapshotSource(t *testing.T, buildspec string) string {
	t.Helper()
	dir := sourceWith(t, buildspec)
	writeSource(t, dir, map[string]string{"given": "given\n", "gone": "", "src.txt": "one\n", ".gitignore": "made\n"})
	return dir
}

func writeSource(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSnapshots_From begins a build with the results of the phases of an earlier one, on each engine.
func TestSnapshots_From(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		env, _ := snapshotEnv(t)
		dir := snapshotSource(t, slowStart)
		out, code := runWith(t, dir, env, append([]string{"run"}, flags...)...)
		if code != 1 {
			t.Fatalf("the first build: exit %d\n%s", code, out)
		}
		// The images of the engine belong to snapshots of another cache directory.
		if out, code := runWith(t, dir, []string{"XDG_CACHE_HOME=" + t.TempDir()}, "prune"); code != 0 {
			t.Errorf("prune elsewhere: exit %d\n%s", code, out)
		}
		top := regexp.MustCompile(`build 1 in (\S+)`).FindStringSubmatch(out)
		writeSource(t, dir, map[string]string{"flag": "flag\n", "src.txt": "two\n"})
		out, code = runWith(t, dir, env, append([]string{"run", "--from", "build"}, flags...)...)
		want := "<it's dev 5 of-dev prepared changed tool of-tmp in made>\nbuildspec.yml\nflag\ngiven\nmade\nsrc.txt\n"
		switch {
		case code != 0 || strings.Contains(out, "install:1"):
			t.Fatalf("the second build: exit %d\n%s", code, out)
		case !strings.Contains(out, want) || !strings.Contains(out, "build 2 in "+top[1]+"\n") ||
			!strings.Contains(out, "two\nflag\n"):
			t.Errorf("the second build in %s prints\n%s", top[1], out)
		}
		r := recordOf(t, dir)
		if r.Restored == nil || len(r.Restored.Phases) != 2 || !strings.HasPrefix(r.Restored.Build, "1-") ||
			r.ByHand != nil {
			t.Errorf("the record has %+v, by hand %v", r.Restored, r.ByHand)
		}
		for _, p := range r.Phases {
			want := p.Type == runner.Install || p.Type == runner.PreBuild
			if restored := p.Status == runner.RestoredStatus; restored != want {
				t.Errorf("%s is %s", p.Type, p.Status)
			}
		}
		if text, err := os.ReadFile(filepath.Join(dir, "given")); string(text) != "given\n" {
			t.Errorf("the source has %q: %v", text, err)
		}
		text, err := os.ReadFile(filepath.Join(dir, ".buildlocal/latest/artifacts/made/file"))
		if string(text) != "of-dev\n" {
			t.Errorf("the artifact of a restored phase is %q: %v", text, err)
		}
		checkTwoAtOnce(t, dir, env, flags)
	})
}

// checkTwoAtOnce runs two builds that begin with one snapshot at once, after its own build is gone.
func checkTwoAtOnce(t *testing.T, dir string, env, flags []string) {
	t.Helper()
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			out, code := runWith(t, dir, env, append([]string{"run", "--from", "build"}, flags...)...)
			if code != 0 || strings.Contains(out, "install:1") {
				t.Errorf("one of two builds at once: exit %d\n%s", code, out)
			}
		})
	}
	group.Wait()
}

// TestSnapshots_Offered takes snapshots of a build on a terminal, and offers to use them.
func TestSnapshots_Offered(t *testing.T) {
	t.Parallel()
	if !hasSandbox(t) {
		t.Skip("no sandbox works here")
	}
	env, _ := snapshotEnv(t)
	env = append(env, "BUILDLOCAL_SNAPSHOTS=auto")
	dir := sourceWith(t, "version: 0.2\nphases:\n  install: {commands: [sleep 1, echo installed]}\n"+
		"  build: {commands: [cat flag]}\n")
	d := converse(t, dir, env, "run", "--engine", "host")
	d.expect("Run `buildlocal run --engine host --from build` to begin there again")
	d.ends(1)
	writeSource(t, dir, map[string]string{"flag": ""})
	d = converse(t, dir, env, "run", "--engine", "host", "--from", "build")
	d.expect("INSTALL restored from build 1")
	d.expect("SUCCEEDED in .*, with INSTALL of build 1")
	d.ends(0)
	for flag, want := range map[string]string{
		"--from=build": "INSTALL +restored from build 1", "--only=build": "INSTALL +left out",
		"--skip=install:2": `\(left out\) echo installed`,
	} {
		out, code := runWith(t, dir, env, "plan", "--engine", "host", flag)
		if code != 0 || !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("plan %s: exit %d, %s is not in\n%s", flag, code, want, out)
		}
	}
}

// TestSnapshots_Contents compares the contents of files and not their times, and the commit where it is used.
func TestSnapshots_Contents(t *testing.T) {
	t.Parallel()
	env, _ := snapshotEnv(t)
	dir := snapshotSource(t, `version: 0.2
phases:
  install: {commands: [cat given >made]}
  pre_build: {commands: [export TAG=$CODEBUILD_RESOLVED_SOURCE_VERSION]}
  build: {commands: ['test "$TAG" = "$(git rev-parse HEAD)"', cat made src.txt]}
`)
	git := func(args ...string) {
		t.Helper()
		args = append([]string{"-C", dir, "-c", "user.name=me", "-c", "user.email=me@localhost"}, args...)
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	build := func(want string, args ...string) {
		t.Helper()
		args = append([]string{"run", "--engine", "host", "--from", "build"}, args...)
		out, code := runWith(t, dir, env, args...)
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("%q: exit %d, want %q\n%s", args, code, want, out)
		}
	}
	for _, name := range []string{"buildspec.yml", "given", "src.txt"} { // as in a checkout
		if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git("init", "-q", "-b", "main")
	git("add", ".")
	git("commit", "-q", "-m", "first")
	const both = "INSTALL and PRE_BUILD restored"
	build("no snapshot", "--source-mode", "commit")
	build(both, "--source-mode", "commit")
	build(both) // other files with the same contents
	if err := os.Chtimes(filepath.Join(dir, "given"), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	build(both)
	writeSource(t, dir, map[string]string{"given": "other\n"})
	build("given changed; INSTALL reads it")
	git("commit", "-q", "-a", "-m", "second")
	build("INSTALL restored")
	build(both)
	git("checkout", "-q", "-b", "same")
	build("Not used: PRE_BUILD of build 6: the commit changed; PRE_BUILD uses it: export TAG")

	other := t.TempDir()
	writeSource(t, other, map[string]string{"lib": "one\n"})
	build("", "--secondary-source", "other="+other)
	build(both, "--secondary-source", "other="+other)
	writeSource(t, other, map[string]string{"lib": "other\n"})
	build("files of the secondary source other changed", "--secondary-source", "other="+other)

	args := []string{"plan", "--engine", "host", "--from", "build:2", "--secondary-source", "other=" + other}
	out, code := runWith(t, dir, env, args...)
	if code != 0 || !strings.Contains(out, "INSTALL  restored from build") ||
		!strings.Contains(out, "Begins at the first command of BUILD") {
		t.Errorf("the plan: exit %d\n%s", code, out)
	}
}

// TestSnapshots_FailedBuild keeps a snapshot as long as a failed build that began with it can go on.
func TestSnapshots_FailedBuild(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		env, _ := snapshotEnv(t)
		dir := sourceWith(t, "version: 0.2\nphases:\n  install:\n    commands: [echo made >made]\n"+
			"  build:\n    commands: [cat made; false]\n")
		run := func(want int, args ...string) string {
			t.Helper()
			out, code := runWith(t, dir, env, args...)
			if code != want {
				t.Fatalf("%q: exit %d\n%s", args, code, out)
			}
			return out
		}
		run(1, append([]string{"run"}, flags...)...)
		run(1, append([]string{"run", "--from", "build", "--keep-failed", "always"}, flags...)...)
		for range 2 {
			if out := run(4, "snapshot", "prune", "--all"); !strings.Contains(out, "a build uses the snapshot") {
				t.Errorf("prune prints\n%s", out)
			}
			out := run(1, "debug", "--pause-for", "1ms", "--keep-failed", "always")
			if !strings.Contains(out, "continuing build 2-") {
				t.Errorf("debug prints\n%s", out)
			}
		}
		run(0, "prune", "--kept")
	})
}

// TestSnapshots_Cache keeps the files of a cache that were mounted, even if its entry is replaced.
func TestSnapshots_Cache(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		env, _ := snapshotEnv(t)
		dir := snapshotSource(t, `version: 0.2
phases:
  install:
    commands: ['mkdir -p made; echo "$CODEBUILD_BUILD_NUMBER" >>made/cached; mkdir -p /opt; echo x >>/opt/cached']
  build:
    commands: ['echo "lines: $(tr "\n" " " <made/cached)"; cat flag', 'echo built >>made/cached']
cache: {paths: ['made/**/*', '/opt/cached']}
`)
		writeSource(t, dir, map[string]string{"flag": ""})
		run := func(want string, args ...string) {
			t.Helper()
			out, code := runWith(t, dir, env, append(append([]string{"run"}, args...), flags...)...)
			if code != 0 || !strings.Contains(out, want) {
				t.Errorf("%v: exit %d, want %q in\n%s", args, code, want, out)
			}
		}
		run("lines: 1 \n")
		run("lines: 1 built 2 \n")                    // with the entry of the first one, which it replaces
		run("lines: 1 built 2 \n", "--from", "build") // with the snapshot of the second one
		run("lines: 1 built 2 built 4 \n")
	})
}

// TestSnapshots_Keys uses a snapshot only if the phases would have the same results.
func TestSnapshots_Keys(t *testing.T) {
	t.Parallel()
	if !hasSandbox(t) {
		t.Skip("no sandbox works here")
	}
	env, _ := snapshotEnv(t)
	dir := snapshotSource(t, slowStart)
	run := func(args ...string) string {
		t.Helper()
		out, code := runWith(t, dir, env, append([]string{"run", "--engine", "host"}, args...)...)
		if code != 0 {
			t.Errorf("%v: exit %d\n%s", args, code, out)
		}
		return out
	}
	again := regexp.MustCompile(`(?m)^install:1 `)
	writeSource(t, dir, map[string]string{"flag": ""})
	run()
	for _, c := range []struct {
		buildspec, file string
		args            []string
		reason          string // "" if INSTALL is restored
		ran             string // a command that must have run
	}{
		{reason: ""},
		{args: []string{"-e", "STAGE=prod"}, reason: `variable STAGE \(-e\) changed`},
		{args: []string{"-e", "OTHER=x"}, reason: `variable OTHER \(-e\) is new`},
		{args: []string{"-e", "STAGE=prod", "--force"}},
		{buildspec: strings.Replace(slowStart, "echo tool", "echo other", 1), reason: `buildspec.yml:6 \(INSTALL\) changed`},
		{buildspec: strings.Replace(slowStart, "echo prepared", "echo ready", 1), ran: "pre_build:1"},
		{buildspec: strings.Replace(slowStart, "ls ..", "ls ..; echo new-text", 1), ran: "new-text"},
		{file: "given", reason: `given changed`},
		{file: "src.txt"},
	} {
		text := slowStart
		if c.buildspec != "" {
			text = c.buildspec
		}
		writeSource(t, dir, map[string]string{"buildspec.yml": slowStart})
		run() // the snapshots are those of the first buildspec
		writeSource(t, dir, map[string]string{"buildspec.yml": text})
		if c.file != "" {
			writeSource(t, dir, map[string]string{c.file: t.Name() + c.file})
		}
		out := run(append([]string{"--from", "build"}, c.args...)...)
		if again.MatchString(out) != (c.reason != "") || !regexp.MustCompile(c.reason).MatchString(out) ||
			!strings.Contains(out, c.ran) {
			t.Errorf("%+v: the build prints\n%s", c, out)
		}
		forced := len(recordOf(t, dir).ByHand) > 0
		if want := len(c.args) > 0 && c.args[len(c.args)-1] == "--force"; forced != want {
			t.Errorf("%+v: by hand is %v", c, forced)
		}
	}
	for _, args := range [][]string{
		{"--from", "biuld"}, {"--from", "build:9"}, {"--from", "failure"}, {"--from", "build:end"}, {"--force"},
		{"--snapshots", "sometimes"}, {"--snapshot-size", "much"},
	} {
		if out, code := runWith(t, dir, env, append([]string{"run", "--engine", "host"}, args...)...); code != 2 {
			t.Errorf("%v: exit %d\n%s", args, code, out)
		}
	}
}

// TestSnapshots_Auto takes no snapshot that would miss something or cost much.
func TestSnapshots_Auto(t *testing.T) {
	t.Parallel()
	if !hasSandbox(t) {
		t.Skip("no sandbox works here")
	}
	env, dir := snapshotEnv(t)
	source := sourceWith(t, "version: 0.2\nphases:\n  install:\n    commands:\n"+
		"      - sleep 1000 >/dev/null 2>&1 &\n  build:\n    commands: [sleep 0.5]\n")
	for _, c := range []struct {
		args []string
		text string
		have int
	}{
		{[]string{"--snapshots", "auto"}, "No snapshot of INSTALL: it left sleep running", 0},
		{[]string{"--snapshots", "never"}, "", 0},
		{[]string{"--snapshots", "always"}, "", 2},
	} {
		out, code := runWith(t, source, env, append([]string{"run", "--engine", "host"}, c.args...)...)
		if code != 0 || !strings.Contains(strings.ToLower(out), strings.ToLower(c.text)) {
			t.Errorf("%v: exit %d\n%s", c.args, code, out)
		}
		if have := published(t, dir); len(have) != c.have {
			t.Errorf("%v: the snapshots are %v, want %d", c.args, have, c.have)
		}
	}
	quick := sourceWith(t, "version: 0.2\nphases: {install: {commands: [echo quick]}, build: {commands: [echo]}}\n")
	if out, code := runWith(t, quick, env, "run", "--engine", "host", "--snapshots", "auto"); code != 0 {
		t.Errorf("exit %d\n%s", code, out)
	}
	if have := published(t, dir); len(have) != 2 {
		t.Errorf("a snapshot of a phase that takes no time: %v", have)
	}
}

// published returns the names of the snapshots in a directory.
func published(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "[^n]*", "snapshot.json"))
	more, err2 := filepath.Glob(filepath.Join(dir, "n[^e]*", "snapshot.json"))
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return append(all, more...)
}

// TestSnapshots_FullDisk shows a note, and changes nothing else.
func TestSnapshots_FullDisk(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 || !hasSandbox(t) {
		t.Skip("mounting a small file system requires root")
	}
	env, dir := snapshotEnv(t)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	source := sourceWith(t, "version: 0.2\nphases:\n  install:\n    commands:\n"+
		"      - head -c 3000000 /dev/zero >large\n  build:\n    commands: [echo built]\n")
	out, code := runWith(t, source, env, "run", "--engine", "host")
	if code != 0 || !strings.Contains(strings.ToLower(out), "no snapshot of install: ") ||
		!strings.Contains(strings.ToLower(out), "space") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestSnapshots_Killed leaves nothing that looks like a snapshot.
func TestSnapshots_Killed(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, flags []string) {
		env, dir := snapshotEnv(t)
		source := sourceWith(t, "version: 0.2\nphases:\n  install:\n    commands:\n"+
			"      - head -c 300000000 /dev/zero >large\n  build:\n    commands: [echo built]\n")
		c := exec.Command("buildlocal", append([]string{"run"}, flags...)...)
		c.Dir, c.Env = source, append(terminalEnviron(), env...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		await(t, "a snapshot is begun", func() bool {
			begun, _ := filepath.Glob(filepath.Join(dir, "new-*", "files", "layers"))
			return len(begun) > 0
		})
		_ = c.Process.Kill()
		_ = c.Wait()
		complete := len(published(t, dir)) // in the moment before the program was killed
		if out, code := runWith(t, source, env, "prune"); code != 0 {
			t.Errorf("exit %d\n%s", code, out)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != complete {
			t.Errorf("left: %v, %v; %d are complete", left, err, complete)
		}
		if out, code := runWith(t, source, env, "run", "--from", "build", "--engine", "host"); code != 0 {
			t.Errorf("exit %d\n%s", code, out)
		}
	})
}

// await waits until something is true.
func await(t *testing.T, state string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !reached(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", state)
		}
	}
}

// TestSnapshots_Secrets has no value of a secret on the disk, and uses the current one.
func TestSnapshots_Secrets(t *testing.T) {
	t.Parallel()
	if !hasSandbox(t) {
		t.Skip("no sandbox works here")
	}
	env, dir := snapshotEnv(t)
	source := sourceWith(t, "version: 0.2\nenv: {parameter-store: {TOKEN: /token}}\nphases:\n  install:\n    commands:\n"+
		"      - export URL=https://$TOKEN@host COPY=$TOKEN\n  build:\n    commands:\n"+
		"      - printf '%s|' $URL $COPY $TOKEN | rev\n")
	set := func(value string) {
		writeSource(t, source, map[string]string{"secrets.yml": "parameter-store:\n  /token: " + value + "\n"})
	}
	set("first-canary-1")
	out, code := runWith(t, source, env, "run", "--engine", "host", "--secrets", "secrets.yml")
	if code != 0 || !strings.Contains(out, "1-yranac-tsrif") {
		t.Fatalf("exit %d\n%s", code, out)
	}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(name)
		if bytes.Contains(text, []byte("first-canary")) {
			t.Errorf("the secret is in %s", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	set("second-canary-22")
	out, code = runWith(t, source, env, "run", "--engine", "host", "--secrets", "secrets.yml", "--from", "build")
	if code != 0 || strings.Contains(out, "install:1") ||
		!strings.Contains(out, "|22-yranac-dnoces|22-yranac-dnoces|tsoh@22-yranac-dnoces//:sptth") {
		t.Errorf("exit %d\n%s", code, out)
	}
}
