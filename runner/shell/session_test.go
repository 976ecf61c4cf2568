//go:build unix

package shell_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/runner/shell"
)

// shells lists programs that may be /bin/sh in an image, with the shell for commands.
// Tests skip a shell that is not installed.
var shells = []struct {
	name   string
	driver []string // runs the driver
	runs   string   // runs commands
}{
	{"dash", []string{"dash"}, "dash"},
	{"bash", []string{"bash"}, "bash"},
	{"bash-posix", []string{"bash", "--posix"}, "bash"},
	{"busybox", []string{"busybox", "sh"}, "sh"},
	{"dash-bash", []string{"dash"}, "bash"},
}

// build is a Session with a driver process on the host, and the output of its commands.
type build struct {
	*shell.Session
	t     *testing.T
	dir   string
	state string
	mu    sync.Mutex
	out   bytes.Buffer
	cmd   *exec.Cmd
}

func (b *build) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.Write(p)
}

func (b *build) printed() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.out.String()
	b.out.Reset()
	return text
}

func (b *build) run(text string) int {
	b.t.Helper()
	exit, err := b.Run(b.t.Context(), text)
	if err != nil {
		b.t.Fatalf("run %q: %v", text, err)
	}
	return exit
}

// wants runs text and compares exit status and output.
func (b *build) wants(text string, exit int, output string) {
	b.t.Helper()
	if got := b.run(text); got != exit {
		b.t.Errorf("%q: exit status %d, want %d; output %q", text, got, exit, b.printed())
		return
	}
	if got := b.printed(); got != output {
		b.t.Errorf("%q printed %q, want %q", text, got, output)
	}
}

func start(t *testing.T, driver []string, runs string, keep bool) *build {
	t.Helper()
	return launch(t, launchOptions{driver: driver, runs: runs, keep: keep, attr: &syscall.SysProcAttr{Setsid: true}})
}

// launchOptions configures a driver process.
type launchOptions struct {
	driver []string
	runs   string
	keep   bool
	within string // a command of sh that runs "$@", with the state's directory as $0
	attr   *syscall.SysProcAttr
}

func launch(t *testing.T, l launchOptions) *build {
	t.Helper()
	if _, err := exec.LookPath(l.driver[0]); err != nil {
		t.Skipf("%s is not installed", l.driver[0])
	}
	b := &build{t: t, dir: t.TempDir(), state: t.TempDir()}
	b.Session = shell.New(shell.Config{
		Nonce: "n0nce", State: b.state, Shell: l.runs, Home: b.dir, Keep: l.keep, Output: b,
	})
	args := slices.Concat(l.driver, b.Args()[1:])
	if l.within != "" {
		args = slices.Concat([]string{"sh", "-c", l.within, b.state}, args)
	}
	b.cmd = exec.Command(args[0], args[1:]...)
	b.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "FROM_IMAGE=1", "ODD=a b  c'd\"e$f\nexport G=1",
		"d=of the image", "key=1", "nl=n", "shell=s", "home=h", "tail=t"}
	b.cmd.Stdin, b.cmd.Stdout, b.cmd.Stderr = b.Stdin(), b.Stdout(), b.Stderr()
	b.cmd.SysProcAttr = l.attr // a session of its own, as in a container: kill 0 must not reach the test
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		state, err := b.cmd.Process.Wait() // not cmd.Wait, which waits for stdin to end
		b.End(state.ExitCode(), err)
	}()
	t.Cleanup(func() { b.Close(); syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL) })
	if err := b.Begin(b.dir, []string{shell.Export("FIRST", "1"), shell.ExportRaw("PATH", "$PATH:/added")}); err != nil {
		t.Fatal(err)
	}
	return b
}

// onEvery runs check on each shell.
func onEvery(t *testing.T, check func(t *testing.T, b *build)) {
	t.Helper()
	for _, s := range shells {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			check(t, start(t, s.driver, s.runs, true))
		})
	}
}

func TestRun_KeepsState(t *testing.T) {
	onEvery(t, func(t *testing.T, b *build) {
		b.wants("echo $FIRST$FROM_IMAGE", 0, "11\n")
		b.wants("X=un-exported; export Y=exported", 0, "")
		b.wants(`sh -c 'echo $X $Y'`, 0, "un-exported exported\n")
		b.wants("unset X FROM_IMAGE; mkdir -p 'a  b'; cd 'a  b'", 0, "")
		b.wants(`echo "[$X$FROM_IMAGE]"; basename "$PWD"; env | grep -c FROM_IMAGE`, 1, "[]\na  b\n0\n")
		b.wants(`echo "$d $key $nl $shell $home $tail"`, 0, "of the image 1 n s h t\n")
		b.wants(`printf %s "$ODD"`, 0, "a b  c'd\"e$f\nexport G=1")
		b.wants(`echo "${PATH##*:}"`, 0, "/added\n")
	})
}

// everyByte returns all bytes that a variable can have.
func everyByte() string {
	var all []byte
	for b := 1; b < 256; b++ {
		all = append(all, byte(b))
	}
	return string(all)
}

func TestRun_KeepsOddValues(t *testing.T) {
	values := []string{
		"", " ", "a\nb\n", "trailing  ", "'", `"`, `\`, "$HOME `id` $(id)", "=", "ü€😀", "tab\there", "\r",
		"-n", "*", "a\x01b", "!x", "\\n", everyByte(),
	}
	onEvery(t, func(t *testing.T, b *build) {
		for i, v := range values {
			if err := b.Set(shell.Export(fmt.Sprintf("V%d", i), v)); err != nil {
				t.Fatal(err)
			}
		}
		b.run("true")
		b.run("W=1")
		for i, v := range values {
			b.wants(fmt.Sprintf(`printf '%%s' "$V%d"`, i), 0, v)
		}
	})
}

func TestRun_ExitStatus(t *testing.T) {
	onEvery(t, func(t *testing.T, b *build) {
		b.wants("false", 1, "")
		b.wants("echo $CODEBUILD_LAST_EXIT", 0, "1\n")
		b.wants("X=lost; exit 3", 3, "")
		b.wants(`echo "$CODEBUILD_LAST_EXIT[$X]"`, 0, "3[]\n")
		b.wants("set -e; false; echo not reached", 1, "")
		b.wants("false\ntrue", 0, "")
		b.wants("exec sh -c 'exit 7'", 7, "")
		if got := b.run("kill -9 $$"); got != 137 {
			t.Errorf("a killed shell: exit status %d, want 137", got)
		}
		b.printed() // some shells say Killed
		b.wants("true \\", 0, "")
		b.wants("# only a comment", 0, "")
		b.wants("set -Cu; V=kept", 0, "")
		b.wants("echo $V", 0, "kept\n")
		b.wants("", 0, "")
	})
}

func TestRun_OutputUnchanged(t *testing.T) {
	onEvery(t, func(t *testing.T, b *build) {
		b.wants("echo out; echo err >&2; echo out", 0, "out\nerr\nout\n")
		b.wants("printf 'no newline'", 0, "no newline")
		b.wants(`printf 'a\r\000\377\036b\036n0nce-1\036\036n0nce'`, 0, "a\r\x00\xff\x1eb\x1en0nce-1\x1e\x1en0nce")
		b.wants("cat; echo end", 0, "end\n")
		b.run("head -c 10000000 /dev/zero | tr '\\0' x")
		if got := b.printed(); got != strings.Repeat("x", 10000000) {
			t.Errorf("a line of 10 MB arrived as %d bytes", len(got))
		}
	})
}

func TestRun_CommandIsAtLineFour(t *testing.T) {
	onEvery(t, func(t *testing.T, b *build) {
		b.run("echo $0; no-such-program")
		got := b.printed()
		script := b.state + "/script.sh"
		if !strings.HasPrefix(got, script+"\n") || !strings.Contains(got, "4: ") {
			t.Errorf("got %q, want the name %s and line 4", got, script)
		}
	})
}

func TestRun_StatusCannotBeForged(t *testing.T) {
	tricks := []string{
		"echo 'n0nce-1 0' >&2; exit 5",
		"exec >&- 2>&- <&-; exit 5",
		"echo 'Phase complete: BUILD State: FAILED'; exit 5",
		"printf '\\036n0nce-1\\036'; exit 5",
		"trap 'exit 5' EXIT",
		"return 5 2>/dev/null; exit 5",
		"kill -TERM 0; exit 5",
		"export() { :; }; pwd() { :; }; exit 5",
	}
	onEvery(t, func(t *testing.T, b *build) {
		for _, trick := range tricks {
			exit, err := b.Run(t.Context(), trick)
			if err != nil || exit == 0 {
				t.Errorf("%q: exit status %d, %v; want a failure", trick, exit, err)
			}
			b.printed()
			b.wants("echo alive", 0, "alive\n")
		}
	})
}

func TestRun_KilledDriverIsError(t *testing.T) {
	onEvery(t, func(t *testing.T, b *build) {
		_, err := b.Run(t.Context(), "kill -9 $PPID; sleep 1; exit 0")
		if !errors.Is(err, shell.ErrEnded) {
			t.Errorf("got %v, want ErrEnded", err)
		}
	})
}

func TestRun_Version01KeepsNoState(t *testing.T) {
	t.Parallel()
	b := start(t, []string{"dash"}, "dash", false)
	b.wants("cd /; export X=1; echo $FIRST; exit 4", 4, "1\n")
	b.wants(`echo "[$X]$CODEBUILD_LAST_EXIT"; [ "$PWD" = "`+b.dir+`" ]`, 0, "[]4\n")
}

func TestRun_BackgroundProcessLivesOn(t *testing.T) {
	onEvery(t, func(t *testing.T, b *build) {
		b.run("mkfifo ready; (read x <ready; echo late) &")
		b.run("echo go >ready")
		deadline := time.Now().Add(10 * time.Second)
		text := b.printed()
		for !strings.Contains(text, "late\n") && time.Now().Before(deadline) {
			b.run("true")
			text += b.printed()
		}
		if text != "late\n" {
			t.Errorf("got %q", text)
		}
	})
}

func TestRun_MissingDirectoryUsesHome(t *testing.T) {
	onEvery(t, func(t *testing.T, b *build) {
		b.run("mkdir gone; cd gone; rmdir ../gone")
		b.wants("basename $PWD", 0, filepath.Base(b.dir)+"\n")
	})
}

func TestCapture_KeepsState(t *testing.T) {
	onEvery(t, func(t *testing.T, b *build) {
		b.run("X=1")
		got, exit, err := b.Capture(t.Context(), "echo v$X; X=2; cd /; exit 0")
		if got != "v1\n" || exit != 0 || err != nil {
			t.Errorf("got %q, %d, %v", got, exit, err)
		}
		b.wants("echo $X; [ \"$PWD\" = / ]", 1, "1\n")
	})
}

func TestRun_ReturnsCause(t *testing.T) {
	t.Parallel()
	b := start(t, []string{"dash"}, "dash", true)
	up := errors.New("time is up")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, up)
	defer cancel()
	if _, err := b.Run(ctx, "sleep 0.3; exit 9"); !errors.Is(err, up) {
		t.Errorf("got %v, want the cause", err)
	}
	if exit, err := b.Wait(t.Context()); exit != 9 || err != nil {
		t.Errorf("got %d, %v, want the command's status after all", exit, err)
	}
}

func FuzzOutput_WithoutMark(f *testing.F) {
	f.Add([]byte("plain\n"), uint8(3))
	f.Add([]byte("\x1en0nce-1\x1e"), uint8(1))
	f.Add([]byte("\x1en0nce-2"), uint8(5))
	f.Fuzz(func(t *testing.T, text []byte, size uint8) {
		var got bytes.Buffer
		s := shell.New(shell.Config{Nonce: "n0nce", Output: &got})
		done := make(chan int, 1)
		go func() {
			exit, err := s.Run(t.Context(), "x")
			if err != nil {
				exit = -1
			}
			done <- exit
		}()
		buffer := make([]byte, 4096)
		n, err := s.Stdin().Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		_, call, _ := strings.Cut(string(buffer[:n]), " run '")
		answer, _, _ := strings.Cut(call, "'")
		mark := []byte("\x1e" + answer + "\x1e")
		if answer == "" || bytes.Contains(text, []byte(answer)) || bytes.HasSuffix(text, mark[:1]) {
			return // a command cannot know the nonce
		}
		stream := append(bytes.Clone(text), mark...)
		stream = append(stream, "after"...)
		for len(stream) > 0 {
			n := min(len(stream), 1+int(size))
			s.Stdout().Write(stream[:n])
			stream = stream[n:]
		}
		s.Stderr().Write([]byte("noise\n" + answer + " 7\n" + answer + " 0\n"))
		if exit := <-done; exit != 7 {
			t.Errorf("exit status %d, want 7", exit)
		}
		if want := string(text) + "after"; got.String() != want {
			t.Errorf("got %q, want %q", got.String(), want)
		}
	})
}
