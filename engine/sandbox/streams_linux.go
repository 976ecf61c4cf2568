package sandbox

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/sandbox/inside"
)

// streams are the standard streams of a process: pipes or a terminal.
type streams struct {
	// The ends for the process, in the order of its descriptors: input, output, errors.
	theirs   []*os.File
	stdin    *os.File // our end; nil if the process has no input
	readers  []*os.File
	terminal *os.File
	coming   *net.UnixConn // receives the terminal
	size     engine.TTY
	copying  chan struct{} // one message for each reader that has finished
	copied   atomic.Int64  // bytes
	writing  atomic.Int64  // readers that are writing
	quit     chan struct{}
}

// openStreams opens the streams of a process. Streams that are nil are /dev/null.
func openStreams(p engine.Process) (*streams, error) {
	s := &streams{copying: make(chan struct{}, 2), quit: make(chan struct{})}
	var err error
	if p.TTY != nil {
		err = s.openTerminal(*p.TTY)
	} else {
		err = errors.Join(s.input(p.Stdin), s.output(p.Stdout), s.output(p.Stderr))
	}
	if err != nil {
		closeAll(s.theirs)
		s.finish()
	}
	return s, err
}

// input opens the standard input. A process always has all three streams: programs that open
// files with a free descriptor below 3 would write to them by mistake.
func (s *streams) input(from io.Reader) error {
	if from == nil {
		null, err := os.Open(os.DevNull)
		s.theirs = append(s.theirs, null)
		return err
	}
	r, w, err := os.Pipe()
	s.theirs, s.stdin = append(s.theirs, r), w
	return err
}

// output opens an output. It is a pipe even if to is a file, so that the build does not get a
// descriptor of the host.
func (s *streams) output(to io.Writer) error {
	if to == nil {
		null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		s.theirs, s.readers = append(s.theirs, null), append(s.readers, nil)
		return err
	}
	r, w, err := os.Pipe()
	s.theirs, s.readers = append(s.theirs, w), append(s.readers, r)
	return err
}

// openTerminal creates the socket that receives a terminal of the sandbox. The terminal
// must be created inside: programs look up its name in the /dev/pts of the sandbox.
func (s *streams) openTerminal(t engine.TTY) error {
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	s.coming, s.theirs, s.size = ours, []*os.File{theirs}, t
	return nil
}

// takeTerminal receives our end of the terminal.
func (s *streams) takeTerminal() error {
	defer s.coming.Close()
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := s.coming.ReadMsgUnix(make([]byte, 1), rights)
	if err != nil {
		return err
	}
	files, err := inside.Files(rights[:n])
	if err != nil || len(files) != 1 {
		return errors.Join(err, errors.New("no terminal came"))
	}
	// Other processes that start at this moment must not inherit the terminal, or it would
	// never hang up.
	unix.CloseOnExec(files[0])
	s.terminal = os.NewFile(uintptr(files[0]), "terminal")
	s.readers = []*os.File{s.terminal, nil}
	return s.resize(s.size)
}

// resize sets the size of the terminal. The kernel signals SIGWINCH to the process.
func (s *streams) resize(t engine.TTY) error {
	return unix.IoctlSetWinsize(int(s.terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: t.Columns, Row: t.Rows})
}

// begin copies the streams until the process ends.
func (s *streams) begin(p engine.Process) error {
	if s.coming != nil {
		if err := s.takeTerminal(); err != nil {
			return err
		}
	}
	to := []io.Writer{p.Stdout, p.Stderr}
	for i, r := range s.readers {
		if r == nil || to[i] == nil {
			s.copying <- struct{}{}
			continue
		}
		go func() {
			_, _ = io.Copy(countingWriter{to[i], s}, r) // reading a terminal that was closed is an error
			s.copying <- struct{}{}
		}()
	}
	switch {
	case s.stdin != nil:
		go func() {
			// This goroutine is not waited for: a Read of the user's terminal cannot be
			// interrupted.
			_, _ = io.Copy(s.stdin, p.Stdin)
			s.stdin.Close()
		}()
	// The end of the input does not close a terminal, which is for the output too.
	case s.terminal != nil && p.Stdin != nil:
		go func() { _, _ = io.Copy(s.terminal, p.Stdin) }()
	}
	if p.TTY != nil && p.TTY.Resize != nil {
		go s.followResize(p.TTY.Resize)
	}
	return nil
}

// followResize passes the size of the user's terminal on until the process ends.
func (s *streams) followResize(sizes <-chan engine.TTY) {
	for {
		select {
		case size, open := <-sizes:
			if !open {
				return
			}
			_ = s.resize(size)
		case <-s.quit:
			return
		}
	}
}

// countingWriter counts bytes.
type countingWriter struct {
	io.Writer
	s *streams
}

func (c countingWriter) Write(p []byte) (int, error) {
	// A writer that blocks, such as a pager, is not an idle output: finish waits for it.
	c.s.writing.Add(1)
	defer c.s.writing.Add(-1)
	n, err := c.Writer.Write(p)
	c.s.copied.Add(int64(n))
	return n, err
}

// maxIdle is how long an output may be silent after its process has ended until it is no
// longer read: a background process may keep it open forever.
const maxIdle = 60 * time.Millisecond

// maxDrain bounds how long an output is read that is never silent.
const maxDrain = 5 * time.Second

// finish reads the rest of the streams and closes them.
func (s *streams) finish() {
	close(s.quit)
	// Output of the process itself is in the pipe already, so it is complete after the first
	// silence. Only a background process can write more.
	enough, late := time.After(maxDrain), false
	for total := len(s.readers); total > 0; {
		before := s.copied.Load()
		select {
		case <-s.copying:
			total--
		case <-time.After(maxIdle):
			if s.writing.Load() == 0 && (late || s.copied.Load() == before) {
				total = 0
			}
		case <-enough:
			late = true
		}
	}
	for _, f := range append(s.readers, s.stdin, s.terminal) {
		if f != nil {
			f.Close()
		}
	}
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
