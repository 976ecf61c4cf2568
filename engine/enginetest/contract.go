// Package enginetest has the contract of package engine as tests, which every driver runs
// with [Run], and a [Fake] for tests of packages that use an engine.
package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine"
)

// Suite describes the driver to test. The flags name differences between drivers that the contract
// allows. They are not for hiding defects: a driver that cannot keep a promise returns
// engine.ErrUnsupported, which the tests check as well.
type Suite struct {
	Engine engine.Engine
	Image  string // with sh and coreutils
	// A remote engine cannot mount them.
	Trees bool // the driver can mount directories of the host here
	// Such a driver runs commands in a view of the host's own files.
	Bare bool // the driver has no images
	// Without subordinate IDs a non-root user has only one user ID to give.
	Single bool // the driver supports a single user
	// Left returns the number of resources with the label.
	Left func(ctx context.Context, label string) (int, error)
}

// Run runs the contract. The tests run one after the other, because drivers share resources of the
// host, and a failure is easier to read that way. Each test starts containers of its own.
func Run(t *testing.T, s Suite) {
	t.Run("Exec_ExitStatus", s.exitStatus)
	t.Run("Exec_SeparateStreams", s.streams)
	t.Run("Exec_VariablesDirectoryUser", s.surroundings)
	t.Run("Exec_UserAndGroup", s.userAndGroup)
	t.Run("Exec_LeavesFilesAndBackgroundProcesses", s.outlive)
	t.Run("Exec_CancelKillsAllProcesses", s.cutOff)
	t.Run("Copy_RoundTrip", s.copies)
	t.Run("CopyIn_RefusesEscapes", s.escapes)
	t.Run("CopyOut_MissingIsNotExist", s.missing)
	t.Run("Main_BesideOtherProcesses", s.main)
	t.Run("Scratch_EmptyAndWritable", s.scratch)
	t.Run("Trees_HostIsUnchanged", s.trees)
	t.Run("Trees_Overlays", s.over)
	t.Run("Volumes_OutliveContainer", s.volumes)
	t.Run("Binds_ShareTheHostsFiles", s.binds)
	t.Run("Network_JoinedOrUnsupported", s.network)
	t.Run("Close_RemovesEverythingTwice", s.close)
	t.Run("Preserve_KeepsFiles", s.preserve)
	t.Run("Snapshot_KeepsFiles", s.snapshot)
	t.Run("Changes_ListsFiles", s.changes)
	t.Run("Observe_RecordsOpenedFiles", s.observe)
	t.Run("Start_FailureLeavesNothing", s.failedStart)
	t.Run("Containers_AreIsolated", s.apart)
	t.Run("Exec_Terminal", s.terminal)
	t.Run("Limits_AreKeptOrReported", s.limits)
	t.Run("Usage_CountsProcesses", s.usage)
	t.Run("View_ListsFilesOfContainer", s.view)
	t.Run("Services_AtTheirAddress", s.services)
	if s.Bare { // the test images have no clients
		t.Run("Services_DifferentClients", s.clients)
	}
	t.Run("Metadata_IsBlocked", s.metadata)
}

// spec returns a spec that no other test uses: its label counts the resources of this test only.
func (s Suite) spec(t *testing.T) engine.Spec {
	t.Helper()
	temp := t.TempDir()
	// unique, because temp ends with a number A leftover of a failed test can be found by this prefix.
	name := "buildlocal-contract" + strings.Map(nameRune, temp[max(0, len(temp)-60):])
	return engine.Spec{
		Name: name, Image: engine.ImageRef{Names: []string{s.Image}, Pull: engine.PullNever},
		// PullNever: the tests work without a network, and never test a registry.
		Labels: map[string]string{name: "1"}, Mounts: engine.Mounts{Temp: temp, Scratch: []string{"/scratch/deep"}},
	}
}

// nameRune replaces characters that are not allowed in the names of containers.
func nameRune(r rune) rune {
	if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return '-'
}

// start starts a container and closes it at the end of the test, with a context that is still alive
// then.
func (s Suite) start(t *testing.T, spec engine.Spec) engine.Container {
	t.Helper()
	c, err := s.Engine.Start(t.Context(), spec)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// sh runs a script and returns its status and its outputs. Each change is applied to the process
// before it starts. An error of Exec ends the test, as no script is expected to be impossible to
// run.
func sh(t *testing.T, c engine.Container, script string, change ...func(*engine.Process)) (int, string, string) {
	t.Helper()
	var out, errs bytes.Buffer
	p := engine.Process{Args: []string{"sh", "-c", script}, Stdout: &out, Stderr: &errs}
	for _, f := range change {
		f(&p)
	}
	exit, err := c.Exec(t.Context(), p)
	if err != nil {
		t.Fatalf("run %q: %v", script, err)
	}
	return exit, out.String(), errs.String()
}

// exitStatus checks that a failed process is a value and not an error, and that a signal is 128
// plus its number, as in a shell.
func (s Suite) exitStatus(t *testing.T) {
	c := s.start(t, s.spec(t))
	for _, want := range []int{0, 1, 42, 255} {
		if got, _, _ := sh(t, c, fmt.Sprintf("exit %d", want)); got != want {
			t.Errorf("exit status %d, want %d", got, want)
		}
	}
	// CodeBuild reports the same numbers, and builds test for them.
	if got, _, _ := sh(t, c, "kill -9 $$"); got != 137 {
		t.Errorf("killed: exit status %d, want 137", got)
	}
	// A process that cannot be started is an error, since no status describes it.
	if _, err := c.Exec(t.Context(), engine.Process{}); err == nil {
		t.Error("no program: no error")
	}
}

// streams checks that streams are passed on byte by byte and not mixed, and that the input is empty
// by default.
func (s Suite) streams(t *testing.T) {
	c := s.start(t, s.spec(t))
	// NUL, an invalid byte and a carriage return pass only if nothing treats the stream as text.
	_, out, errs := sh(t, c, "cat; echo err >&2", func(p *engine.Process) { p.Stdin = strings.NewReader("in\x00\xff\r") })
	if out != "in\x00\xff\r" || errs != "err\n" {
		t.Errorf("stdout %q, stderr %q", out, errs)
	}
	if _, out, _ := sh(t, c, "cat; echo end"); out != "end\n" {
		t.Errorf("without stdin: %q", out)
	}
}

// surroundings checks that variables of a process win over those of the container, and the
// defaults: root, in the root directory.
func (s Suite) surroundings(t *testing.T) {
	spec := s.spec(t)
	spec.Env = []string{"FROM_SPEC=1 2", "BOTH=spec"}
	c := s.start(t, spec)
	user := s.other(t, c)
	_, out, _ := sh(t, c, `echo "$FROM_SPEC|$BOTH|$ODD"; pwd; id -u`, func(p *engine.Process) {
		// A value may contain line breaks and quotes, as a private key does.
		p.Env = []string{"BOTH=process", "ODD=a\nb'\"$"}
		p.Dir, p.User = "/usr", user
	})
	// The value with a line break shows that variables are not passed in a file of lines.
	if want := "1 2|process|a\nb'\"$\n/usr\n" + user + "\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	if _, out, _ := sh(t, c, "id -u; pwd"); out != "0\n/\n" {
		t.Errorf("nothing said: got %q, want root in /", out)
	}
}

// other returns a user other than root. A driver with a single user reports an error.
func (s Suite) other(t *testing.T, c engine.Container) string {
	t.Helper()
	// A number, because a minimal image need not have a user of this name.
	const nobody = "65534"
	if !s.Single {
		return nobody
	}
	if _, err := c.Exec(t.Context(), engine.Process{Args: []string{"true"}, User: nobody}); !errors.Is(
		err,
		engine.ErrUnsupported,
	) {
		t.Errorf("another user: got %v, want ErrUnsupported", err)
	}
	return "0"
}

// outlive checks that a command leaves its files and its background processes behind: a build
// starts servers in one command and uses them in the next.
func (s Suite) outlive(t *testing.T) {
	c := s.start(t, s.spec(t))
	// The background process must not keep the streams of its command open, otherwise Exec would wait
	// for it.
	sh(t, c, "echo kept >/kept; mkfifo /go; (read x </go; echo $x >/answer) >/dev/null 2>&1 </dev/null &")
	// Both processes wait for each other through files, so there is no timing in this test.
	_, out, _ := sh(t, c, "cat /kept; echo heard >/go; while ! [ -s /answer ]; do :; done; cat /answer")
	if out != "kept\nheard\n" {
		t.Errorf("got %q", out)
	}
}

// cutOff checks that a cancelled Exec ends all processes that it has started, also those in the
// background, and returns the cause.
func (s Suite) cutOff(t *testing.T) {
	c := s.start(t, s.spec(t))
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	r, w := io.Pipe()
	go func() {
		// The output shows that the processes exist. Cancelling earlier would test an Exec that has not
		// begun.
		_, _ = r.Read(make([]byte, 1)) // it runs
		cancel(why)
		_, _ = io.Copy(io.Discard, r)
	}()
	_, err := c.Exec(
		ctx,
		engine.Process{Args: []string{"sh", "-c", "echo up; sleep 1000 & sleep 1001; echo never >/never"}, Stdout: w},
	)
	if !errors.Is(err, why) {
		t.Errorf("got %v, want the cause", err)
	}
	_, out, _ := sh(
		t,
		c,
		`for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline; done 2>/dev/null | grep -c '^sleep'; ls /never 2>&1 | `+
			`grep -c cannot`,
	)
	if out != "0\n1\n" {
		t.Errorf("after the end: %q, want no sleep left and nothing done", out)
	}
	// A context that has ended already must not start anything.
	if _, err := c.Exec(ctx, engine.Process{Args: []string{"true"}}); !errors.Is(err, why) {
		t.Errorf("with an ended ctx: %v, want the cause", err)
	}
}

// main checks the first process of a container, which is the driver of a build's shell: its streams
// stay open beside other processes, and its end is reported once.
func (s Suite) main(t *testing.T) {
	spec := s.spec(t)
	type end struct {
		exit int
		err  error
	}
	// A second call of the hook must not block, but be counted.
	ended := make(chan end, 2)
	in, request := io.Pipe()
	var out, errs bytes.Buffer
	spec.Main = &engine.Process{
		Args:   []string{"sh", "-c", "read a; echo got $a; echo err >&2; exit 9"},
		Stdin:  in,
		Stdout: &out,
		Stderr: &errs,
	}
	spec.Hooks.OnExit = func(exit int, err error) { ended <- end{exit, err} }
	c := s.start(t, spec)
	// Other processes run while Main waits for its input.
	if got, _, _ := sh(t, c, "exit 3"); got != 3 {
		t.Errorf("beside Main: exit status %d", got)
	}
	unexplained(t, c, "it runs")
	_, _ = io.WriteString(request, "hello\n")
	select {
	case e := <-ended:
		if e.exit != 9 || e.err != nil || out.String() != "got hello\n" || errs.String() != "err\n" {
			t.Errorf("Main ended with %d, %v; stdout %q, stderr %q", e.exit, e.err, out.String(), errs.String())
		}
	// The limit only prevents a hanging test; it is not a measure.
	case <-time.After(30 * time.Second):
		t.Fatal("Main did not end")
	}
	unexplained(t, c, "Main has exited by itself")
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	// Close ends Main, which must not be reported again.
	if len(ended) != 0 {
		t.Error("Ended was called twice")
	}
}

// scratch checks a directory for files of this program: empty, writable for every user, and
// allowing programs to be run.
func (s Suite) scratch(t *testing.T) {
	c := s.start(t, s.spec(t))
	_, out, _ := sh(
		t,
		c,
		"ls -A /scratch/deep; cd /scratch/deep && echo 'echo ran' >x && chmod +x x && ./x",
		func(p *engine.Process) { p.User = s.other(t, c) },
	)
	if out != "ran\n" {
		t.Errorf("got %q", out)
	}
}

// close checks that Close ends processes and removes everything, and may be called again: cleaning
// up happens on several paths.
func (s Suite) close(t *testing.T) {
	spec := s.spec(t)
	// A mount is one more thing to remove.
	if s.Trees {
		spec.Mounts.Trees = []engine.Tree{{Host: hostTree(t), Path: "/src"}}
	}
	c := s.start(t, spec)
	// A process in the background must not keep the container alive.
	sh(t, c, "sleep 1000 >/dev/null 2>&1 </dev/null &")
	for range 2 {
		if err := c.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if n, err := s.Left(t.Context(), spec.Name); n != 0 || err != nil {
		t.Errorf("%d resources are left, %v", n, err)
	}
	if _, err := c.Exec(t.Context(), engine.Process{Args: []string{"true"}}); err == nil {
		t.Error("a process ran in a closed container")
	}
}

// failedStart checks that a start that fails at its last step removes the results of the earlier
// ones.
func (s Suite) failedStart(t *testing.T) {
	spec := s.spec(t)
	spec.Main = &engine.Process{Args: []string{"/no/such/program"}}
	// The container exists by the time its first process fails.
	if _, err := s.Engine.Start(t.Context(), spec); err == nil {
		t.Fatal("no error")
	}
	if n, err := s.Left(t.Context(), spec.Name); n != 0 || err != nil {
		t.Errorf("%d resources are left, %v", n, err)
	}
	if s.Bare {
		return
	}
	missing := s.spec(t)
	// A missing image is a fault with a hint, because the user can do something about it.
	missing.Image.Names = []string{"buildlocal-test/no-such-image:1"}
	_, err := s.Engine.Start(t.Context(), missing)
	var f *engine.Fault
	if !errors.As(err, &f) || f.Kind != engine.NoImage || f.Hint == "" {
		t.Errorf("no such image: got %v, want a NoImage fault with a hint", err)
	}
}

// apart checks that containers have their own files and processes.
func (s Suite) apart(t *testing.T) {
	a, b := s.start(t, s.spec(t)), s.start(t, s.spec(t))
	sh(t, a, "echo a >/mine; echo a >/scratch/deep/mine; sleep 1000 >/dev/null 2>&1 </dev/null &")
	// /proc is the container's own, so processes of the other one are not in it.
	if _, out, _ := sh(t, b, "ls /mine /scratch/deep/mine 2>/dev/null; cat /proc/[0-9]*/comm | "+
		"grep -c sleep"); out != "0\n" {
		t.Errorf("seen from the other: %q", out)
	}
}

// terminal checks the size of a terminal. It may be set only after the process has started, so the
// script waits for it.
func (s Suite) terminal(t *testing.T) {
	c := s.start(t, s.spec(t))
	// The input stays open, as that of a user who does not type.
	keyboard, _ := io.Pipe()
	_, out, _ := sh(
		t,
		c,
		`test -t 0 && test -t 1 && while [ "$(stty size)" = "0 0" ]; do :; done; stty size`,
		func(p *engine.Process) {
			p.TTY, p.Stdin = &engine.TTY{Columns: 91, Rows: 17}, keyboard
		},
	)
	if out != "17 91\r\n" {
		t.Errorf("got %q, want the terminal's size", out)
	}
}

// limits checks that a memory limit is enforced, or that a warning says it is not. More CPUs than
// the host has are not an error.
func (s Suite) limits(t *testing.T) {
	spec := s.spec(t)
	said := ""
	// 1000 CPUs exceed every host, and 64 MiB are more than the shell needs.
	spec.Resources.Limits = engine.Limits{CPUs: 1000, Memory: 64 << 20}
	spec.Hooks.OnWarning = func(format string, args ...any) { said += fmt.Sprintf(format, args...) }
	c := s.start(t, spec)
	const kept = 137 // exit status after SIGKILL
	for range 8 {    // a process may start others immediately
		got, _, _ := sh(t, c, "head -c 200000000 /dev/zero | tail >/dev/null")
		if got != kept && !strings.Contains(said, "memory") {
			t.Errorf("200 MB in a container of 64 MiB: exit status %d; said %q", got, said)
		}
	}
}

// Snapshot returns mode, time, owner and content of everything below dir, by name. Comparing two
// snapshots shows whether anything on the host changed.
func Snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	// Links are not followed: the link itself is part of the snapshot.
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var text []byte
		if info.Mode().IsRegular() {
			text, err = os.ReadFile(path)
		}
		all[path] = fmt.Sprintf("%v %v %s", info.Mode(), info.ModTime().UnixNano(), text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
