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

// Fake is an Engine without containers, whose services are ports of this machine. Its Main, and every process it runs,
// answers as a build's shell does: each command's exit status and output come
// from Do. It remembers what it was asked.
type Fake struct {
	// Do stands for a command: it gets the text, writes what the command
	// prints and returns the exit status. Nil means that all succeed.
	Do func(text string, output io.Writer) int
	// Files are what CopyOut finds, by absolute path.
	Files map[string]string
	// StartError is what Start returns.
	StartError error
	// Unmounted makes Start refuse trees, as an engine elsewhere does.
	Unmounted bool

	mu       sync.Mutex
	Specs    []engine.Spec
	Commands []string            // texts that ran, in order
	State    []string            // lines that were added to env.sh
	Copied   map[string][]string // names that were copied in, by directory
	Closed   int
}

// Start makes a container; see engine.Engine.
func (f *Fake) Start(_ context.Context, spec engine.Spec) (engine.Container, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.StartError != nil {
		return nil, f.StartError
	}
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
			spec.Hooks.ReportExit(0, nil)
		}()
	}
	return c, nil
}

// offer serves services at ports of this machine: there is no other address.
func (c *fakeContainer) offer(services []engine.Service) error {
	for _, s := range services {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.OnFallback(l.Addr().String())
		go func() { _ = s.Serve(l) }()
		go func() {
			<-c.done
			l.Close()
		}()
	}
	return nil
}

// serve speaks a driver's side of the protocol until its input ends.
func (f *Fake) serve(p engine.Process) {
	lines := bufio.NewScanner(p.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		_, request, _ := strings.Cut(lines.Text(), " ") // the key
		_, request, _ = strings.Cut(request, " ")       // the length
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
			fmt.Fprintf(p.Stdout, "\x1e%s\x1e", mark)
			fmt.Fprintf(p.Stderr, "%s\n%s %d\n", token, mark, exit)
		}
	}
}

// unquote returns the arguments of a request, as its shell would read them.
func unquote(text string) []string {
	text = strings.NewReplacer(`'"$nl"'`, "\n", `'\''`, "'", "' '", "\x00").Replace(text)
	return strings.Split(strings.TrimSuffix(strings.TrimPrefix(text, "'"), "'"), "\x00")
}

func (f *Fake) run(text string, output io.Writer) int {
	f.mu.Lock()
	f.Commands = append(f.Commands, text)
	do := f.Do
	f.mu.Unlock()
	if do == nil {
		return 0
	}
	return do(text, output)
}

type fakeContainer struct {
	fake *Fake
	once sync.Once
	done chan struct{}
}

// Exec runs a shell that serves, or anything else without effect.
func (c *fakeContainer) Exec(ctx context.Context, p engine.Process) (int, error) {
	if p.Stdin == nil {
		return 0, ctx.Err()
	}
	go func() { c.fake.serve(p) }()
	select {
	case <-c.done:
		return 137, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// CopyIn remembers the names.
func (c *fakeContainer) CopyIn(_ context.Context, dir string, stream io.Reader) error {
	c.fake.mu.Lock()
	defer c.fake.mu.Unlock()
	if c.fake.Copied == nil {
		c.fake.Copied = map[string][]string{}
	}
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

// CopyOut returns one of Files, or the directory that some of them stand in.
func (c *fakeContainer) CopyOut(_ context.Context, name string) (io.ReadCloser, error) {
	name = path.Clean(name)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
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

// write adds the last file of a stream.
func write(w *tar.Writer, name, text string) error {
	if err := add(w, name, text); err != nil {
		return err
	}
	return w.Close()
}

func add(w *tar.Writer, name, text string) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))}); err != nil {
		return err
	}
	_, err := io.WriteString(w, text)
	return err
}

// Close counts.
func (c *fakeContainer) Close(context.Context) error {
	c.once.Do(func() {
		c.fake.mu.Lock()
		c.fake.Closed++
		c.fake.mu.Unlock()
		close(c.done)
	})
	return nil
}
