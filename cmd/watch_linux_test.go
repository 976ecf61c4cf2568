package cmd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/runner"
)

// showsFlag is a buildspec that prints the file flag, and fails without it.
const showsFlag = "version: 0.2\nphases: {build: {commands: ['echo \"flag is $(cat flag)\"; test -f flag']}}\n"

// watchedRepository makes a repository with a buildspec and the files a and .gitignore.
func watchedRepository(t *testing.T, buildspec string) string {
	t.Helper()
	dir := sourceWith(t, buildspec)
	put(t, dir, ".gitignore", "ignored\n.buildlocal\n")
	put(t, dir, "a", "1\n")
	inGit(t, dir, "init", "-q")
	inGit(t, dir, "add", ".")
	inGit(t, dir, "commit", "-q", "-m", "first")
	return dir
}

// put writes a file of a source.
func put(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, name)
	err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644))
	if err != nil {
		t.Fatal(err)
	}
}

// inGit runs a git command.
func inGit(t *testing.T, dir string, args ...string) {
	t.Helper()
	c := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// watcher is buildlocal watch without a terminal.
type watcher struct {
	t   *testing.T
	cmd *exec.Cmd

	mu   sync.Mutex
	text bytes.Buffer
	done chan struct{}
}

// startWatch starts buildlocal watch on the engine host. before is a command that runs it, such as
// unshare; it may be empty.
func startWatch(t *testing.T, dir string, before []string, flags ...string) *watcher {
	t.Helper()
	if !hasSandbox(t) {
		t.Skip("the engine host does not work here")
	}
	args := append(append(before, "buildlocal", "watch", "--engine", "host"), flags...)
	return startCommand(t, exec.Command(args[0], args[1:]...), dir)
}

// startCommand starts a watch in a directory, with further variables.
func startCommand(t *testing.T, c *exec.Cmd, dir string, env ...string) *watcher {
	t.Helper()
	w := &watcher{t: t, cmd: c, done: make(chan struct{})}
	w.cmd.Dir, w.cmd.Env, w.cmd.Stdout, w.cmd.Stderr = dir, append(terminalEnviron(), env...), w, w
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = w.cmd.Wait(); close(w.done) }()
	t.Cleanup(func() {
		_ = w.cmd.Process.Kill()
		<-w.done
	})
	return w
}

// Write implements io.Writer.
func (w *watcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *watcher) printed() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// expect waits until the output has a text n times.
func (w *watcher) expect(text string, n int) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if strings.Count(w.printed(), text) >= n {
			return
		}
	}
	w.t.Fatalf("%q was not printed %d times; the output is\n%s", text, n, w.printed())
}

// ends stops the watch with Ctrl-C and checks the exit code.
func (w *watcher) ends(code int) {
	w.t.Helper()
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		w.t.Fatal(err)
	}
	select {
	case <-w.done:
	case <-time.After(patience):
		w.t.Fatalf("watch has not ended; the output is\n%s", w.printed())
	}
	if got := w.cmd.ProcessState.ExitCode(); got != code {
		w.t.Errorf("exit code %d, want %d; the output is\n%s", got, code, w.printed())
	}
}

// buildsIn returns the number of builds that have begun.
func buildsIn(t *testing.T, dir string) int {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, ".buildlocal/builds/*-*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// TestWatch_SurvivesRedBuilds breaks and repairs the source, on a terminal.
func TestWatch_SurvivesRedBuilds(t *testing.T) {
	t.Parallel()
	dir := watchedRepository(t, showsFlag)
	put(t, dir, "flag", "one")
	d := converse(t, dir, nil, "watch", "--engine", "host", "--notify", "bell")
	d.expect("flag is one")
	d.expect(`SUCCEEDED in .*\n(?s:.*)waiting for changes: r rerun · f from the start · q quit`)
	if err := os.Remove(filepath.Join(dir, "flag")); err != nil {
		t.Fatal(err)
	}
	d.expect("changed: flag\n")
	d.expect("FAILED in .* at build:1, exit 1")
	d.expect("\a")
	d.expect("last green .*, build 1\nwaiting for changes: d debug · r rerun · f from the start · q quit")
	put(t, dir, "flag", "two")
	put(t, dir, "src/new", "")
	d.expect("changed: flag and src/new\n")
	d.expect("flag is two")
	d.expect("waiting for changes: r rerun")
	d.keys("r")
	d.expect("flag is two")
	d.expect("SUCCEEDED")
	d.expect("waiting for changes: r rerun")
	d.keys("q")
	d.ends(0)
	if got := buildsIn(t, dir); got != 4 {
		t.Errorf("%d builds; want 4", got)
	}
}

// TestWatch_OpensTheFailedBuild has a look at a failed build, and goes on afterwards.
func TestWatch_OpensTheFailedBuild(t *testing.T) {
	t.Parallel()
	env, _ := ownTemp(t)
	dir := watchedRepository(t, showsFlag)
	d := converse(t, dir, env, "watch", "--engine", "host")
	d.expect("waiting for changes: d debug")
	d.keys("d")
	d.expect(`\(build:1\) `)
	d.line("q")
	d.expect("waiting for changes: ")
	put(t, dir, "flag", "ok")
	d.expect("flag is ok")
	d.expect("waiting for changes: r rerun")
	d.keys("\x03")
	d.ends(0)
}

// TestWatch_SameContents checks that nothing is built for files that are as they were, and one build for
// many files.
func TestWatch_SameContents(t *testing.T) {
	t.Parallel()
	dir := watchedRepository(t, showsFlag)
	put(t, dir, "flag", "0")
	inGit(t, dir, "add", ".")
	inGit(t, dir, "commit", "-q", "-m", "flag")
	w := startWatch(t, dir, nil)
	w.expect("#1 SUCCEEDED", 1)
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "a"), later, later); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "a", "1\n") // saved without a change
	put(t, dir, "ignored", "x")
	for i := range 20 {
		put(t, dir, fmt.Sprintf("many/%d", i), "x")
	}
	w.expect("#2 SUCCEEDED", 1)
	if !strings.Contains(w.printed(), ": many/0, many/1, many/10 and 17 other files changed\n") {
		t.Errorf("the output is\n%s", w.printed())
	}
	// Stashed and popped while git is busy, so that the states between are not built.
	put(t, dir, ".git/index.lock", "")
	put(t, dir, "flag", "1")
	put(t, dir, "flag", "0")
	if err := os.Remove(filepath.Join(dir, ".git/index.lock")); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "end", "")
	w.expect("#3 SUCCEEDED", 1)
	if !strings.HasSuffix(w.printed(), ": end changed\n") {
		t.Errorf("the output is\n%s", w.printed())
	}
	w.ends(0)
	if got := buildsIn(t, dir); got != 3 {
		t.Errorf("%d builds; want 3", got)
	}
}

// waits is a buildspec that prints the file flag, and ends when a port of this host accepts connections.
func waits(port int) string {
	return fmt.Sprintf("version: 0.2\nphases: {build: {commands: ['echo \"flag is $(cat flag)\"; "+
		"until bash -c \": </dev/tcp/127.0.0.1/%d\" 2>/dev/null; do sleep 0.05; done']}}\n", port)
}

// closedPort returns a port, and a function that lets it accept connections.
func closedPort(t *testing.T) (port int, open func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	place := l.Addr().String()
	port = l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return port, func() {
		t.Helper()
		l, err := net.Listen("tcp", place)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
	}
}

// TestWatch_ChangeDuringABuild checks that the build is stopped, or ends before the next one.
func TestWatch_ChangeDuringABuild(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{"restart": nil, "no restart": {"--no-restart"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port, release := closedPort(t)
			dir := watchedRepository(t, waits(port))
			put(t, dir, "flag", "one")
			w := startWatch(t, dir, nil, append(flags, "--format", "json")...)
			w.expect(`flag is one`, 1)
			put(t, dir, "flag", "two")
			if flags == nil {
				w.expect("flag is two", 1)
			} else {
				put(t, dir, "other", "x") // both are changes during the build
			}
			release()
			w.expect(`"status":"SUCCEEDED","durationInMilliseconds"`, 1)
			w.expect(`flag is two`, 1)
			w.expect(`"event":"watch_changed"`, 1)
			if flags == nil {
				w.expect(`"status":"STOPPED","durationInMilliseconds"`, 1)
			} else {
				w.expect(`"event":"build_ended"`, 2)
				if strings.Contains(w.printed(), "STOPPED") {
					t.Errorf("a build was stopped:\n%s", w.printed())
				}
			}
			w.ends(0)
			if got := buildsIn(t, dir); got != 2 {
				t.Errorf("%d builds; want 2", got)
			}
			checkEvents(t, w.printed(), flags != nil)
		})
	}
}

// checkEvents checks the event before the second build.
func checkEvents(t *testing.T, text string, both bool) {
	t.Helper()
	want := "[flag]"
	if both {
		want = "[flag other]"
	}
	for line := range strings.Lines(text) {
		var e struct {
			Event string   `json:"event"`
			Files []string `json:"files"`
			Count int      `json:"count"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Errorf("%v: %s", err, line)
		}
		if e.Event == "watch_changed" && (fmt.Sprint(e.Files) != want || e.Count != len(e.Files)) {
			t.Errorf("got %v, %d files; want %s", e.Files, e.Count, want)
		}
	}
}

// TestWatch_InterruptedBuild ends with the exit code of an interrupted build.
func TestWatch_InterruptedBuild(t *testing.T) {
	t.Parallel()
	port, _ := closedPort(t)
	dir := watchedRepository(t, waits(port))
	put(t, dir, "flag", "x")
	w := startWatch(t, dir, nil, "-v")
	w.expect("flag is x", 1)
	w.ends(130)
}

// TestWatch_WithoutEvents checks that with a limit of one watched directory it looks each second.
func TestWatch_WithoutEvents(t *testing.T) {
	t.Parallel()
	limit := []string{"unshare", "--user", "--map-root-user", "sh", "-c",
		`echo 1 > /proc/sys/user/max_inotify_watches && exec "$@"`, "sh"}
	if out, err := exec.Command(limit[0], append(limit[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("no user namespace with a limit: %s", out)
	}
	dir := watchedRepository(t, showsFlag)
	put(t, dir, "sub/deep/x", "1")
	w := startWatch(t, dir, limit)
	w.expect("#1 ", 1)
	put(t, dir, "sub/deep/x", "2")
	w.expect("sub/deep/x changed", 1)
	put(t, dir, "sub/other/y", "2")
	w.expect("sub/other/y changed", 1)
	if n := strings.Count(w.printed(), "looking for changes each second"); n != 1 ||
		!strings.Contains(w.printed(), "fs.inotify.max_user_watches") {
		t.Errorf("the reason was printed %d times; want once:\n%s", n, w.printed())
	}
}

// TestWatch_NeverLoops checks that results in the source cause no build.
func TestWatch_NeverLoops(t *testing.T) {
	t.Parallel()
	dir := watchedRepository(t, "version: 0.2\nphases: {build: {commands: ['date +%N > made; export N=$(date +%N)']}}\n"+
		"env: {exported-variables: [N]}\nartifacts: {files: [made]}\n")
	w := startWatch(t, dir, nil, "--artifacts", "results/dist", "--exported-env", "exported.env", "-o", "out")
	w.expect("#1 SUCCEEDED", 1)
	for i := 2; i < 5; i++ { // each build would be followed by another one
		put(t, dir, "a", fmt.Sprint(i))
		w.expect(fmt.Sprintf("#%d SUCCEEDED", i), 1)
	}
	time.Sleep(2 * time.Second) // the time in which a loop would be seen
	put(t, dir, "results/other", "x")
	w.expect("#5 SUCCEEDED", 1)
	w.ends(0)
	if got := strings.Count(w.printed(), "\n"); got != 5 {
		t.Errorf("%d lines; want one for each of 5 builds:\n%s", got, w.printed())
	}
	for name, args := range map[string][]string{
		"the source as the place of artifacts": {"--artifacts", "."}, "a commit": {"--source-mode", "commit"},
		"standard input": {"-b", "-"}, "an unknown value": {"--notify", "x"}, "a dry run": {"--dry-run"},
	} {
		if out, code := runHere(t, dir, append([]string{"watch"}, args...)...); code != 2 {
			t.Errorf("%s: exit code %d:\n%s", name, code, out)
		}
	}
}

// TestWatch_InvalidFiles waits for the correction of a buildspec, of settings and of a file with
// variables, and takes the new ones.
func TestWatch_InvalidFiles(t *testing.T) {
	t.Parallel()
	dir := watchedRepository(t, showsFlag)
	put(t, dir, "flag", "x")
	put(t, dir, "buildspec.yml", "version: 0.2\nphases: {bild: {}, build: {commands: [{}]}}\n")
	w := startWatch(t, dir, nil, "--env-file", "ignored", "-v")
	w.expect("3 errors; nothing started", 1)
	put(t, dir, "ignored", "A=1\n") // is watched although git ignores it
	w.expect("2 errors; nothing started", 1)
	put(t, dir, "buildspec.yml", strings.Replace(showsFlag, "flag is", "A is $A and B is $B, flag is", 1))
	w.expect("A is 1 and B is ,", 1)
	w.expect("SUCCEEDED", 1)
	put(t, dir, ".buildlocal.yml", "timeout: x\nstrict: maybe\n")
	w.expect(".buildlocal.yml:2:", 1)
	put(t, dir, ".buildlocal.yml", "env: {B: 1}\n")
	w.expect("A is 1 and B is 1,", 1)
	w.expect("SUCCEEDED", 2)
	put(t, dir, "ignored", "A=2\n")
	w.expect("A is 2 and B is 1,", 1)
	w.expect("SUCCEEDED", 3)
	w.ends(0)
}

// TestWatch_EngineIsGone waits for the engine, and says so once.
func TestWatch_EngineIsGone(t *testing.T) {
	t.Parallel()
	if exec.Command("docker", "image", "inspect", "buildlocal-test/base").Run() != nil {
		t.Skip("no Docker engine with the image buildlocal-test/base")
	}
	place := filepath.Join(t.TempDir(), "docker.sock")
	dir := watchedRepository(t, showsFlag)
	put(t, dir, "flag", "x")
	c := exec.Command("buildlocal", "watch", "--engine", "docker", "-i", "buildlocal-test/base")
	w := startCommand(t, c, dir, "DOCKER_HOST=unix://"+place)
	w.expect("error: ", 1)
	put(t, dir, "a", "2")
	if err := os.Symlink("/var/run/docker.sock", place); err != nil {
		t.Fatal(err)
	}
	w.expect("SUCCEEDED", 1)
	if text := w.printed(); strings.Count(text, "error: ") != 1 || strings.Count(text, "the engine answers again") != 1 {
		t.Errorf("the output is\n%s", text)
	}
	w.ends(0)
}

// observingEngines are the engines that see which files are opened.
func observingEngines(t *testing.T) map[string][]string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can see which files are opened")
	}
	all := engines(t)
	delete(all, "docker")
	return all
}

// TestWatch_RecordsOpenedFiles checks that the record has the files of the source that
// each phase has opened, and no others.
func TestWatch_RecordsOpenedFiles(t *testing.T) {
	t.Parallel()
	for name, flags := range observingEngines(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := watchedRepository(t, `version: 0.2
phases:
  install: {commands: [cat package.json, mkdir node_modules, echo x >node_modules/y, cat node_modules/y]}
  pre_build: {commands: ['test -f src/a']}
  build: {commands: [ls src, cat src/deep/b]}
`)
			put(t, dir, "package.json", "{}")
			put(t, dir, "src/a", "a")
			put(t, dir, "src/deep/b", "b")
			w := startCommand(t, exec.Command("buildlocal", append([]string{"watch"}, flags...)...), dir)
			w.expect("#1 SUCCEEDED", 1)
			w.ends(0)
			got := map[runner.PhaseType]engine.Opened{}
			for _, p := range recordOf(t, dir).Phases {
				if p.Opened != nil {
					got[p.Type] = *p.Opened
				}
			}
			want := map[runner.PhaseType]engine.Opened{
				runner.Install: {Files: []string{"package.json"}}, runner.PreBuild: {}, runner.PostBuild: {},
				runner.Build: {Files: []string{"src/deep/b"}, Dirs: []string{"src"}},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestWatch_ResumesAtTheAffectedPhase checks that a build begins at the first phase that
// has opened a changed file, and the user sees why.
func TestWatch_ResumesAtTheAffectedPhase(t *testing.T) {
	t.Parallel()
	for name, flags := range observingEngines(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, _ := snapshotEnv(t)
			dir := watchedRepository(t, `version: 0.2
phases:
  install: {commands: ['cat package.json; mkdir -p made; echo made >made/by-install']}
  pre_build: {commands: ['cat made/by-install']}
  build: {commands: ['cat src/b; cat made/by-install']}
`)
			put(t, dir, ".gitignore", "made\n.buildlocal\n")
			put(t, dir, "package.json", "{}\n")
			put(t, dir, "src/b", "b\n")
			w := startCommand(t, exec.Command("buildlocal", append([]string{"watch", "-v"}, flags...)...), dir, env...)
			for i, c := range []struct{ change, restored, reason string }{
				{reason: "#1"},
				{"src/b", "INSTALL PRE_BUILD", "src/b changed; INSTALL and PRE_BUILD did not open it (seen)"},
				{"package.json", "", "package.json changed; INSTALL opened it (seen)"},
				{"src/b", "INSTALL PRE_BUILD", ""},
			} {
				if c.change != "" {
					put(t, dir, c.change, fmt.Sprintf("{%d}\n", i))
				}
				w.expect("SUCCEEDED in", i+1)
				record := filepath.Join(dir, ".buildlocal/latest/build.json")
				await(t, "the build is recorded", func() bool {
					text, err := os.ReadFile(record)
					return err == nil && strings.Contains(string(text), fmt.Sprintf(`"buildNumber": %d,`, i+1)) && json.Valid(text)
				})
				if !strings.Contains(w.printed(), c.reason) {
					t.Errorf("build %d: %q is not printed:\n%s", i+1, c.reason, w.printed())
				}
				restored := ""
				if r := recordOf(t, dir).Restored; r != nil {
					restored = strings.Join(r.Names(), " ")
				}
				if restored != c.restored {
					t.Errorf("build %d after a change of %s restored %q, want %q", i+1, c.change, restored, c.restored)
				}
			}
			w.ends(0)
		})
	}
}

// TestWatch_GreenFromASnapshot runs a whole build after a green one that was not.
func TestWatch_GreenFromASnapshot(t *testing.T) {
	t.Parallel()
	dir := watchedRepository(t, `version: 0.2
phases:
  install: {commands: [echo "installed $(wc -l </root/count 2>/dev/null)", echo x >>/root/count]}
  build: {commands: [echo "build $(cat src/a)"]}
`)
	put(t, dir, "src/a", "one")
	d := converse(t, dir, []string{"XDG_CACHE_HOME=" + t.TempDir()}, "watch", "--engine", "host", "--snapshots", "always")
	d.expect("build one")
	d.expect("waiting for changes: ")
	put(t, dir, "src/a", "two")
	d.expect("begins at BUILD, with INSTALL of build 1")
	d.expect("build two")
	d.expect("green from BUILD; press Enter for a full build\nwaiting for changes: ")
	d.keys("\r")
	d.expect("install:1")
	d.expect("build two")
	d.expect("SUCCEEDED")
	d.expect("waiting for changes: ")
	d.keys("q")
	d.ends(0)
}
