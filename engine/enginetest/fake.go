package enginetest

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/buildlocal/buildlocal/engine"
)

// Fake is an Engine without containers, for tests of the runner. Main, and every other
// process, answers like the shell of a build: Do provides exit status and output of each
// command. Services are available at ports of the host. Requests are recorded in the
// exported fields. It knows the protocol of runner/shell and nothing of shells. Tests of the
// protocol itself use a real one.
type Fake struct {
	// Do runs a command: it gets its text, writes its output and returns its exit status. If
	// Do is nil, all commands succeed.
	Do func(text string, output io.Writer) int
	// Files are the files that CopyOut returns, by absolute path.
	Files map[string]string
	// StartError is the error of Start.
	StartError error
	// Unmounted makes Start refuse trees, as a remote engine does.
	Unmounted bool

	// Commands may run concurrently, as a run-as user has a shell of its own.
	mu sync.Mutex
	// The recorded fields may be read after the build has ended, without the lock.
	Specs    []engine.Spec
	Commands []string            // commands that were run, in order
	State    []string            // lines that were appended to env.sh
	Copied   map[string][]string // names that were copied in, by directory
	Closed   int
}

// Start returns a fake container. See engine.Engine.
func (f *Fake) Start(_ context.Context, spec engine.Spec) (engine.Container, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.StartError != nil {
		return nil, f.StartError
	}
	// The runner then copies the source, which is what the tests want to see.
	if f.Unmounted && len(spec.Mounts.Trees) > 0 {
		return nil, fmt.Errorf("mount the source: %w", engine.ErrUnsupported)
	}
	f.Specs = append(f.Specs, spec)
	c := &fakeContainer{fake: f, done: make(chan struct{})}
	if err := c.offer(spec.Network.Services); err != nil {
		return nil, err
	}
	if spec.Main != nil {
		go func() {
			f.serve(*spec.Main)
			// Main ends when its input does, as a shell would.
			spec.Hooks.ReportExit(0, nil)
		}()
	}
	return c, nil
}

// offer serves services at ports of the host, as there is no other address.
func (c *fakeContainer) offer(services []engine.Service) error {
	for _, s := range services {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		// The runner passes this address to the build, as for an engine without link-local addresses.
		s.OnFallback(l.Addr().String())
		// Serve returns when the listener is closed.
		go func() { _ = s.Serve(l) }()
		go func() {
			<-c.done
			l.Close()
		}()
	}
	return nil
}

// serve speaks the driver's side of the shell protocol until its input ends.
func (f *Fake) serve(p engine.Process) {
	lines := bufio.NewScanner(p.Stdin)
	// A request is one line and contains a whole script.
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		_, request, _ := strings.Cut(lines.Text(), " ") // the key
		_, request, _ = strings.Cut(request, " ")       // the length
		// Requests are append (to the state of the shell) and run; others need no answer here.
		word, rest, _ := strings.Cut(request, " ")
		switch word {
		case "append":
			f.mu.Lock()
			f.State = append(f.State, strings.Split(unquote(rest)[0], "\n")...)
			f.mu.Unlock()
		case "run":
			mark, rest, _ := strings.Cut(rest, " ")
			token, text, _ := strings.Cut(rest, " ")
			exit := f.run(unquote(strings.TrimSuffix(text, " aside"))[0], p.Stdout)
			// The mark in the output shows the runner where the output of a command ends.
			fmt.Fprintf(p.Stdout, "\x1e%s\x1e", mark)
			fmt.Fprintf(p.Stderr, "%s\n%s %d\n", token, mark, exit)
		}
	}
}

// unquote splits a request into words as the shell does.
func unquote(text string) []string {
	text = strings.NewReplacer(`'"$nl"'`, "\n", `'\''`, "'", "' '", "\x00").Replace(text)
	return strings.Split(strings.TrimSuffix(strings.TrimPrefix(text, "'"), "'"), "\x00")
}

// run records a command and lets Do run it, without the lock: Do may wait for another command.
func (f *Fake) run(text string, output io.Writer) int {
	f.mu.Lock()
	f.Commands = append(f.Commands, text)
	do := f.Do
	f.mu.Unlock()
	// A nil Do keeps tests short that are not about commands.
	if do == nil {
		return 0
	}
	return do(text, output)
}

// fakeContainer is a container of a Fake.
type fakeContainer struct {
	fake *Fake
	once sync.Once
	done chan struct{}
}

// Exec serves as a shell, or does nothing for other programs. Without an input it is a program such
// as mkdir, which always succeeds.
func (c *fakeContainer) Exec(ctx context.Context, p engine.Process) (int, error) {
	if p.Stdin == nil {
		return 0, ctx.Err()
	}
	go func() { c.fake.serve(p) }()
	select {
	// The status of a process that was killed.
	case <-c.done:
		return 137, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// CopyIn records the names.
func (c *fakeContainer) CopyIn(_ context.Context, dir string, stream io.Reader) error {
	c.fake.mu.Lock()
	defer c.fake.mu.Unlock()
	if c.fake.Copied == nil {
		c.fake.Copied = map[string][]string{}
	}
	// The stream is read to its end, as an engine would, so that its writer can finish.
	r := tar.NewReader(stream)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		c.fake.Copied[dir] = append(c.fake.Copied[dir], h.Name)
	}
}

// CopyOut returns one of Files, or a directory that contains some of them.
func (c *fakeContainer) CopyOut(_ context.Context, name string) (io.ReadCloser, error) {
	name = path.Clean(name)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	// A single file is an entry with its base name; see engine.Container.
	if text, found := c.fake.Files[name]; found {
		return io.NopCloser(&b), write(w, path.Base(name), text)
	}
	var below []string
	for file := range c.fake.Files {
		if strings.HasPrefix(file, strings.TrimSuffix(name, "/")+"/") {
			below = append(below, file)
		}
	}
	if len(below) == 0 {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	slices.Sort(below)
	// A directory comes first, under the name of the directory itself.
	if err := w.WriteHeader(&tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
		return nil, err
	}
	for _, file := range below[:len(below)-1] {
		if err := add(w, "."+strings.TrimPrefix(file, strings.TrimSuffix(name, "/")), c.fake.Files[file]); err != nil {
			return nil, err
		}
	}
	last := below[len(below)-1]
	return io.NopCloser(&b), write(w, "."+strings.TrimPrefix(last, strings.TrimSuffix(name, "/")), c.fake.Files[last])
}

// write writes the only or last file of a stream.
func write(w *tar.Writer, name, text string) error {
	if err := add(w, name, text); err != nil {
		return err
	}
	return w.Close()
}

// add writes one file, without an end of the archive.
func add(w *tar.Writer, name, text string) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644,
		Size: int64(len(text))}); err != nil {
		return err
	}
	_, err := io.WriteString(w, text)
	return err
}

// Close counts its calls. Repeated calls count once, so that a test can compare the number with
// that of the containers.
func (c *fakeContainer) Close(context.Context) error {
	c.once.Do(func() {
		c.fake.mu.Lock()
		c.fake.Closed++
		c.fake.mu.Unlock()
		close(c.done)
	})
	return nil
}
