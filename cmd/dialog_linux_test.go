package cmd_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// dialog is a program on a terminal of its own.
type dialog struct {
	t    *testing.T
	host *os.File // the other end of the terminal
	cmd  *exec.Cmd
	done chan struct{} // closed when the program has ended

	mu      sync.Mutex
	text    []byte // everything that was printed
	seen    int    // how much of it was matched
	changed chan struct{}
}

// converse starts buildlocal on a terminal of 100 columns. env is added to the environment.
func converse(t *testing.T, dir string, env []string, args ...string) *dialog {
	t.Helper()
	const columns = 100
	return converseIn(t, columns, dir, env, args...)
}

// converseIn is converse on a terminal with a number of columns.
func converseIn(t *testing.T, columns uint16, dir string, env []string, args ...string) *dialog {
	t.Helper()
	host, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(host.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: columns})
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	d := &dialog{t: t, host: host, done: make(chan struct{}), changed: make(chan struct{}, 1)}
	d.cmd = exec.Command("buildlocal", args...)
	d.cmd.Dir, d.cmd.Stdin, d.cmd.Stdout, d.cmd.Stderr = dir, tty, tty, tty
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	d.cmd.Env = append(terminalEnviron(), env...)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	go func() { _ = d.cmd.Wait(); close(d.done) }()
	go d.read()
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		<-d.done
		host.Close()
	})
	return d
}

// terminalEnviron is the environment of a user at a terminal, outside of CI.
func terminalEnviron() []string {
	var all []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "CI", "GITHUB_ACTIONS", "GITLAB_CI", "TERM", "EDITOR", "VISUAL":
		default:
			all = append(all, v)
		}
	}
	// A test that fails a build must not leave its state behind; those of the state set it to auto. The
	// same holds for snapshots.
	all = append(all, "BUILDLOCAL_KEEP_FAILED=never", "BUILDLOCAL_SNAPSHOTS=never")
	return append(all, "TERM=xterm", "NO_COLOR=1", "LC_ALL=C.UTF-8", "GORACE=atexit_sleep_ms=0")
}

// read collects the output of the program.
func (d *dialog) read() {
	buffer := make([]byte, 4096)
	for {
		n, err := d.host.Read(buffer)
		d.mu.Lock()
		d.text = append(d.text, buffer[:n]...)
		d.mu.Unlock()
		select {
		case d.changed <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// patience is how long a test waits for a state, on a machine that does other things too.
const patience = 120 * time.Second

// expect waits until the output after the last match matches, and returns the match.
func (d *dialog) expect(pattern string) string {
	d.t.Helper()
	expression := regexp.MustCompile(pattern)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		d.mu.Lock()
		text := strings.ReplaceAll(string(d.text[d.seen:]), "\r", "")
		at := expression.FindStringIndex(text)
		if at != nil {
			found := text[at[0]:at[1]]
			d.seen += bytesUntil(d.text[d.seen:], at[1])
			d.mu.Unlock()
			return found
		}
		all := string(d.text)
		d.mu.Unlock()
		select {
		case <-d.changed:
		case <-timer.C:
			d.t.Fatalf("%q was not printed; the output is\n%s", pattern, all)
		case <-d.done:
			select { // the rest of the output may still arrive
			case <-d.changed:
			case <-time.After(time.Second):
				d.t.Fatalf("%q was not printed before the end; the output is\n%s", pattern, all)
			}
		}
	}
}

// bytesUntil returns the number of bytes of text that have n bytes without carriage returns.
func bytesUntil(text []byte, n int) int {
	for i, b := range text {
		if n == 0 {
			return i
		}
		if b != '\r' {
			n--
		}
	}
	return len(text)
}

// line types a line.
func (d *dialog) line(text string) { d.keys(text + "\r") }

// keys types characters.
func (d *dialog) keys(text string) {
	d.t.Helper()
	if _, err := d.host.WriteString(text); err != nil {
		d.t.Fatal(err)
	}
}

// ends waits for the end of the program and checks its exit code.
func (d *dialog) ends(code int) {
	d.t.Helper()
	select {
	case <-d.done:
	case <-time.After(patience):
		d.t.Fatalf("the program has not ended; the output is\n%s", d.printed())
	}
	if got := d.cmd.ProcessState.ExitCode(); got != code {
		d.t.Errorf("exit code %d, want %d; the output is\n%s", got, code, d.printed())
	}
}

// matched returns the output up to the last match.
func (d *dialog) matched() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.ReplaceAll(string(d.text[:d.seen]), "\r", "")
}

// printed returns the output so far.
func (d *dialog) printed() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.ReplaceAll(string(d.text), "\r", "")
}

// sourceWith makes a source with a buildspec.
func sourceWith(t *testing.T, buildspec string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "buildspec.yml"), []byte(buildspec), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// engines are the flags of each engine that works here, by its name.
func engines(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	if hasSandbox(t) {
		all["host"] = []string{"--engine", "host"}
	}
	if exec.Command("docker", "image", "inspect", "buildlocal-test/base").Run() == nil {
		all["docker"] = []string{"--engine", "docker", "-i", "buildlocal-test/base"}
		if hasSandbox(t) {
			all["sandbox"] = []string{"--engine", "sandbox", "-i", "tar:" + savedImage(t, "busybox")}
		}
	} else if os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") != "" {
		t.Fatal("the image buildlocal-test/base is missing")
	}
	if len(all) == 0 {
		t.Skip("no engine works here")
	}
	return all
}

// savedImage returns an archive of docker save of an image of the tests.
func savedImage(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".tar")
	if out, err := exec.Command("docker", "save", "-o", file, "buildlocal-test/"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return file
}

// eachEngine runs a test with the flags of each engine that works here, in parallel.
func eachEngine(t *testing.T, test func(t *testing.T, flags []string)) {
	t.Helper()
	for engine, flags := range engines(t) {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			test(t, flags)
		})
	}
}

// runHere runs buildlocal without a terminal, and returns its output and exit code.
func runHere(t *testing.T, dir string, args ...string) (output string, code int) {
	t.Helper()
	c := exec.Command("buildlocal", args...)
	c.Dir, c.Env = dir, terminalEnviron()
	out, err := c.CombinedOutput()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), c.ProcessState.ExitCode()
}
