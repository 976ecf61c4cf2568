// Package enginetest holds the contract of package engine as tests that every
// driver runs, and a Fake for who needs an engine that only remembers.
package enginetest

import (
	"archive/tar"
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

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/engine"
)

// Suite is what a driver gives to be tested.
type Suite struct {
	Engine engine.Engine
	Image  string // has sh and coreutils
	Trees  bool   // the driver can mount a directory of the host here
	Bare   bool   // the driver has no images, and looks at none
	Single bool   // the driver has one user only
	// Left returns how many things with the label exist.
	Left func(ctx context.Context, label string) (int, error)
}

// Run runs the contract.
func Run(t *testing.T, s Suite) {
	t.Run("AFailedProcessIsAnExitStatus", s.exitStatus)
	t.Run("StreamsStayApart", s.streams)
	t.Run("VariablesDirectoryAndUserArrive", s.surroundings)
	t.Run("FilesAndBackgroundProcessesOutliveTheirCommand", s.outlive)
	t.Run("ACutOffProcessIsGone", s.cutOff)
	t.Run("TreesSurviveCopyInAndOut", s.copies)
	t.Run("CopyRefusesWhatLeavesTheDirectory", s.escapes)
	t.Run("CopyOutOfNothingIsNotExist", s.missing)
	t.Run("MainLivesAsLongAsItsContainer", s.main)
	t.Run("ScratchIsEmptyAndOpenToAll", s.scratch)
	t.Run("AMountedTreeIsNeverChanged", s.trees)
	t.Run("DirectoriesLieOverATree", s.over)
	t.Run("AVolumeOutlivesItsContainer", s.volumes)
	t.Run("CloseRemovesEverythingTwiceIsOnce", s.close)
	t.Run("AFailedStartLeavesNothing", s.failedStart)
	t.Run("TwoContainersDoNotSeeEachOther", s.apart)
	t.Run("ATerminalIsATerminal", s.terminal)
	t.Run("ALimitIsKeptOrTold", s.limits)
	t.Run("WhatIsUsedIsCounted", s.usage)
	t.Run("FilesAreListedAsInside", s.view)
	t.Run("AServiceIsReachedAtItsAddress", s.services)
	if s.Bare { // the images of the tests have no clients
		t.Run("ClientsOfAllSortsReachAService", s.clients)
	}
	t.Run("TheMachinesMetadataIsOutOfReach", s.metadata)
}

func (s Suite) spec(t *testing.T) engine.Spec {
	t.Helper()
	temp := t.TempDir()
	name := "buildlocal-contract" + strings.Map(nameRune, temp[max(0, len(temp)-60):]) // unique, as the end of temp is
	return engine.Spec{
		Name: name, Image: engine.ImageRef{Names: []string{s.Image}, Pull: engine.PullNever},
		Labels: map[string]string{name: "1"}, Mounts: engine.Mounts{Temp: temp, Scratch: []string{"/scratch/deep"}},
	}
}

// nameRune keeps to what an engine takes in a name.
func nameRune(r rune) rune {
	if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return '-'
}

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

// sh runs a script and returns its status and its two outputs.
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

func (s Suite) exitStatus(t *testing.T) {
	c := s.start(t, s.spec(t))
	for _, want := range []int{0, 1, 42, 255} {
		if got, _, _ := sh(t, c, fmt.Sprintf("exit %d", want)); got != want {
			t.Errorf("exit status %d, want %d", got, want)
		}
	}
	if got, _, _ := sh(t, c, "kill -9 $$"); got != 137 {
		t.Errorf("killed: exit status %d, want 137", got)
	}
	if _, err := c.Exec(t.Context(), engine.Process{}); err == nil {
		t.Error("no program: no error")
	}
}

func (s Suite) streams(t *testing.T) {
	c := s.start(t, s.spec(t))
	_, out, errs := sh(t, c, "cat; echo err >&2", func(p *engine.Process) { p.Stdin = strings.NewReader("in\x00\xff\r") })
	if out != "in\x00\xff\r" || errs != "err\n" {
		t.Errorf("stdout %q, stderr %q", out, errs)
	}
	if _, out, _ := sh(t, c, "cat; echo end"); out != "end\n" {
		t.Errorf("without stdin: %q", out)
	}
}

func (s Suite) surroundings(t *testing.T) {
	spec := s.spec(t)
	spec.Env = []string{"FROM_SPEC=1 2", "BOTH=spec"}
	c := s.start(t, spec)
	user := s.other(t, c)
	_, out, _ := sh(t, c, `echo "$FROM_SPEC|$BOTH|$ODD"; pwd; id -u`, func(p *engine.Process) {
		p.Env = []string{"BOTH=process", "ODD=a\nb'\"$"}
		p.Dir, p.User = "/usr", user
	})
	if want := "1 2|process|a\nb'\"$\n/usr\n" + user + "\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	if _, out, _ := sh(t, c, "id -u; pwd"); out != "0\n/\n" {
		t.Errorf("nothing said: got %q, want root in /", out)
	}
}

// other is a user that is not root; a driver that has one user only says so.
func (s Suite) other(t *testing.T, c engine.Container) string {
	t.Helper()
	const nobody = "65534"
	if !s.Single {
		return nobody
	}
	if _, err := c.Exec(t.Context(), engine.Process{Args: []string{"true"}, User: nobody}); !errors.Is(err, engine.ErrUnsupported) {
		t.Errorf("another user: got %v, want ErrUnsupported", err)
	}
	return "0"
}

func (s Suite) outlive(t *testing.T) {
	c := s.start(t, s.spec(t))
	sh(t, c, "echo kept >/kept; mkfifo /go; (read x </go; echo $x >/answer) >/dev/null 2>&1 </dev/null &")
	_, out, _ := sh(t, c, "cat /kept; echo heard >/go; while ! [ -s /answer ]; do :; done; cat /answer")
	if out != "kept\nheard\n" {
		t.Errorf("got %q", out)
	}
}

func (s Suite) cutOff(t *testing.T) {
	c := s.start(t, s.spec(t))
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	r, w := io.Pipe()
	go func() {
		_, _ = r.Read(make([]byte, 1)) // it runs
		cancel(why)
		_, _ = io.Copy(io.Discard, r)
	}()
	_, err := c.Exec(ctx, engine.Process{Args: []string{"sh", "-c", "echo up; sleep 1000 & sleep 1001; echo never >/never"}, Stdout: w})
	if !errors.Is(err, why) {
		t.Errorf("got %v, want the cause", err)
	}
	_, out, _ := sh(t, c, `for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline; done 2>/dev/null | grep -c '^sleep'; ls /never 2>&1 | grep -c cannot`)
	if out != "0\n1\n" {
		t.Errorf("after the end: %q, want no sleep left and nothing done", out)
	}
	if _, err := c.Exec(ctx, engine.Process{Args: []string{"true"}}); !errors.Is(err, why) {
		t.Errorf("with an ended ctx: %v, want the cause", err)
	}
}

// entries is a tree with everything a build leaves.
func entries() []tar.Header {
	long := strings.Repeat("long/", 50) + "name"
	return []tar.Header{
		{Name: "dir/", Typeflag: tar.TypeDir, Mode: 0o750},
		{Name: "dir/empty/", Typeflag: tar.TypeDir, Mode: 0o700},
		{Name: "dir/file", Typeflag: tar.TypeReg, Mode: 0o640, Size: 4},
		{Name: "dir/run", Typeflag: tar.TypeReg, Mode: 0o755, Size: 4},
		{Name: "dir/link", Typeflag: tar.TypeSymlink, Linkname: "file", Mode: 0o777},
		{Name: "dir/dangling", Typeflag: tar.TypeSymlink, Linkname: "/no/such", Mode: 0o777},
		{Name: "dir/ü \n'\"x", Typeflag: tar.TypeReg, Mode: 0o600, Size: 4},
		{Name: ".hidden", Typeflag: tar.TypeReg, Mode: 0o644, Size: 4},
		{Name: "-dash", Typeflag: tar.TypeReg, Mode: 0o644, Size: 4},
		{Name: long, Typeflag: tar.TypeReg, Mode: 0o644, Size: 4},
	}
}

var modified = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

func pack(t *testing.T, headers []tar.Header) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		h.ModTime, h.Format = modified, tar.FormatPAX
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			_, _ = w.Write([]byte("text"))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// unpack returns a line for each entry.
func unpack(t *testing.T, stream io.ReadCloser) map[string]string {
	t.Helper()
	defer stream.Close()
	got := map[string]string{}
	r := tar.NewReader(stream)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r)
		got[strings.TrimPrefix(h.Name, "./")] = fmt.Sprintf("%c %o %s %s %d", h.Typeflag, fs.FileMode(h.Mode).Perm(), h.Linkname, text, h.ModTime.Unix())
	}
}

func (s Suite) copies(t *testing.T) {
	c := s.start(t, s.spec(t))
	if err := c.CopyIn(t.Context(), "/new/place", pack(t, entries())); err != nil {
		t.Fatal(err)
	}
	stream, err := c.CopyOut(t.Context(), "/new/place")
	if err != nil {
		t.Fatal(err)
	}
	got := unpack(t, stream)
	for _, h := range entries() {
		text := map[bool]string{true: "text"}[h.Typeflag == tar.TypeReg]
		want := fmt.Sprintf("%c %o %s %s %d", h.Typeflag, h.Mode, h.Linkname, text, modified.Unix())
		if got[h.Name] != want {
			t.Errorf("%q: got %q, want %q", h.Name, got[h.Name], want)
		}
	}
	sh(t, c, "ln -s /new/place /alias")
	stream, err = c.CopyOut(t.Context(), "/alias/dir/file")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"file": got["dir/file"]}, unpack(t, stream)); diff != "" {
		t.Errorf("one file: %s", diff)
	}
}

func (s Suite) escapes(t *testing.T) {
	c := s.start(t, s.spec(t))
	for _, name := range []string{"../out", "a/../../out", "/out"} {
		err := c.CopyIn(t.Context(), "/in", pack(t, []tar.Header{{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: 4}}))
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, out, _ := sh(t, c, "ls -d /out /in/out 2>/dev/null"); out != "" {
		t.Errorf("written: %s", out)
	}
}

func (s Suite) missing(t *testing.T) {
	c := s.start(t, s.spec(t))
	if _, err := c.CopyOut(t.Context(), "/no/such"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

func (s Suite) main(t *testing.T) {
	spec := s.spec(t)
	type end struct {
		exit int
		err  error
	}
	ended := make(chan end, 2)
	in, request := io.Pipe()
	var out, errs bytes.Buffer
	spec.Main = &engine.Process{Args: []string{"sh", "-c", "read a; echo got $a; echo err >&2; exit 9"}, Stdin: in, Stdout: &out, Stderr: &errs}
	spec.Hooks.OnExit = func(exit int, err error) { ended <- end{exit, err} }
	c := s.start(t, spec)
	if got, _, _ := sh(t, c, "exit 3"); got != 3 {
		t.Errorf("beside Main: exit status %d", got)
	}
	_, _ = io.WriteString(request, "hello\n")
	select {
	case e := <-ended:
		if e.exit != 9 || e.err != nil || out.String() != "got hello\n" || errs.String() != "err\n" {
			t.Errorf("Main ended with %d, %v; stdout %q, stderr %q", e.exit, e.err, out.String(), errs.String())
		}
	case <-time.After(30 * time.Second):
		t.Fatal("Main did not end")
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if len(ended) != 0 {
		t.Error("Ended was called twice")
	}
}

func (s Suite) scratch(t *testing.T) {
	c := s.start(t, s.spec(t))
	_, out, _ := sh(t, c, "ls -A /scratch/deep; cd /scratch/deep && echo 'echo ran' >x && chmod +x x && ./x", func(p *engine.Process) { p.User = s.other(t, c) })
	if out != "ran\n" {
		t.Errorf("got %q", out)
	}
}

func (s Suite) close(t *testing.T) {
	spec := s.spec(t)
	if s.Trees {
		spec.Mounts.Trees = []engine.Tree{{Host: hostTree(t), Path: "/src"}}
	}
	c := s.start(t, spec)
	sh(t, c, "sleep 1000 >/dev/null 2>&1 </dev/null &")
	for range 2 {
		if err := c.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if n, err := s.Left(t.Context(), spec.Name); n != 0 || err != nil {
		t.Errorf("%d things are left, %v", n, err)
	}
	if _, err := c.Exec(t.Context(), engine.Process{Args: []string{"true"}}); err == nil {
		t.Error("a process ran in a closed container")
	}
}

func (s Suite) failedStart(t *testing.T) {
	spec := s.spec(t)
	spec.Main = &engine.Process{Args: []string{"/no/such/program"}}
	if _, err := s.Engine.Start(t.Context(), spec); err == nil {
		t.Fatal("no error")
	}
	if n, err := s.Left(t.Context(), spec.Name); n != 0 || err != nil {
		t.Errorf("%d things are left, %v", n, err)
	}
	if s.Bare {
		return
	}
	missing := s.spec(t)
	missing.Image.Names = []string{"buildlocal-test/no-such-image:1"}
	_, err := s.Engine.Start(t.Context(), missing)
	var f *engine.Fault
	if !errors.As(err, &f) || f.Kind != engine.NoImage || f.Hint == "" {
		t.Errorf("no such image: got %v, want a NoImage fault with a way out", err)
	}
}

func (s Suite) apart(t *testing.T) {
	a, b := s.start(t, s.spec(t)), s.start(t, s.spec(t))
	sh(t, a, "echo a >/mine; echo a >/scratch/deep/mine; sleep 1000 >/dev/null 2>&1 </dev/null &")
	if _, out, _ := sh(t, b, "ls /mine /scratch/deep/mine 2>/dev/null; cat /proc/[0-9]*/comm | grep -c sleep"); out != "0\n" {
		t.Errorf("seen from the other: %q", out)
	}
}

func (s Suite) terminal(t *testing.T) {
	c := s.start(t, s.spec(t))
	keyboard, _ := io.Pipe()
	_, out, _ := sh(t, c, `test -t 0 && test -t 1 && while [ "$(stty size)" = "0 0" ]; do :; done; stty size`, func(p *engine.Process) {
		p.TTY, p.Stdin = &engine.TTY{Columns: 91, Rows: 17}, keyboard
	})
	if out != "17 91\r\n" {
		t.Errorf("got %q, want the terminal's size", out)
	}
}

func (s Suite) limits(t *testing.T) {
	spec := s.spec(t)
	said := ""
	spec.Resources.Limits = engine.Limits{CPUs: 1000, Memory: 64 << 20}
	spec.Hooks.OnWarning = func(format string, args ...any) { said += fmt.Sprintf(format, args...) }
	c := s.start(t, spec)
	const kept = 137 // killed
	for range 8 {    // a process may start others at once
		got, _, _ := sh(t, c, "head -c 200000000 /dev/zero | tail >/dev/null")
		if got != kept && !strings.Contains(said, "memory") {
			t.Errorf("200 MB in a container of 64 MiB: exit status %d; said %q", got, said)
		}
	}
}

// Snapshot returns mode, time, owner and content of all below dir, by name.
func Snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
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
