package docker

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/buildlocal/buildlocal/engine"
)

// copyStreams copies the streams of a process until its output ends, and then closes the
// connection. Input that the process has not read by then is lost.
func copyStreams(stream types.HijackedResponse, p engine.Process) error {
	defer stream.Close()
	// Only the output shows that the process has ended. The goroutine may still wait for input
	// then, and ends with its next write, to the closed connection.
	if p.Stdin != nil {
		go func() {
			_, _ = io.Copy(stream.Conn, p.Stdin)
			_ = stream.CloseWrite()
		}()
	}
	stdout, stderr := orDiscard(p.Stdout), orDiscard(p.Stderr)
	var err error
	if p.TTY != nil {
		_, err = io.Copy(stdout, stream.Reader)
	} else { // without a terminal, both outputs are multiplexed in one stream
		_, err = stdcopy.StdCopy(stdout, stderr, stream.Reader)
	}
	return err
}

// orDiscard returns a writer for an output that the caller does not want: it has to be read
// all the same, or the process would block.
func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

// maxWatched bounds how much of the end of its output a watch keeps, in bytes.
const maxWatched = 4 << 10

// watch is a writer that waits for a line, and keeps the end of the output.
type watch struct {
	line  string
	found chan struct{} // closed when the line was written
	ended chan struct{} // closed by end

	mu   sync.Mutex
	kept []byte
	done bool // found is closed
}

func newWatch(line string) *watch {
	return &watch{line: line, found: make(chan struct{}), ended: make(chan struct{})}
}

// Write never fails, because the container must not block on its output.
func (w *watch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept = append(w.kept, p...) // the line may be split between two writes
	if !w.done && bytes.Contains(w.kept, []byte(w.line+"\n")) {
		w.done = true
		close(w.found)
	}
	if over := len(w.kept) - maxWatched; over > 0 {
		w.kept = bytes.Clone(w.kept[over:])
	}
	return len(p), nil
}

func (w *watch) end() { close(w.ended) }

func (w *watch) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.TrimSpace(string(w.kept))
}
