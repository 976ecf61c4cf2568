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

// copyStreams copies p's streams until its output ends, and then closes the
// connection. What is left of stdin is not read.
func copyStreams(stream types.HijackedResponse, p engine.Process) error {
	defer stream.Close()
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
	} else {
		_, err = stdcopy.StdCopy(stdout, stderr, stream.Reader)
	}
	return err
}

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

// headLimit is how much of the beginning of an output is kept, in bytes.
const maxHead = 200

// head passes output on, and keeps the beginning of it.
type head struct {
	to   io.Writer
	kept []byte
}

func (h *head) Write(p []byte) (int, error) {
	h.kept = append(h.kept, p[:min(len(p), maxHead-len(h.kept))]...)
	return h.to.Write(p)
}

// watchLimit is how much of the end of an entrypoint's output is kept, in bytes.
const maxWatched = 4 << 10

// watch takes output until it holds a line, and keeps the last of it.
type watch struct {
	line         string
	found, ended chan struct{}
	mu           sync.Mutex
	kept         []byte
	done         bool
}

func newWatch(line string) *watch {
	return &watch{line: line, found: make(chan struct{}), ended: make(chan struct{})}
}

// Write never fails: the container must not block on its output.
func (w *watch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept = append(w.kept, p...)
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
