package sandbox

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/overlay"
)

// observation records which files of a tree are opened. The tree is an overlay, whose file system is
// for this sandbox alone: nothing else in the system can open files on it.
type observation struct {
	events  int // file of fanotify
	wake    int // file by which the reader is asked for the record
	tree    string
	answers chan engine.Opened
	done    chan struct{}

	files, dirs map[string]bool // of the reader
}

// Observe records the files that are opened. See engine.Observer. It needs root.
func (c *Container) Observe(path string) (next func() engine.Opened, stop func(), err error) {
	if i := slices.IndexFunc(c.trees, func(t engine.Tree) bool { return t.Path == path }); i < 0 {
		return nil, nil, fmt.Errorf("observe %s: not a tree of the sandbox: %w", path, engine.ErrUnsupported)
	}
	o := &observation{
		tree: path, answers: make(chan engine.Opened), done: make(chan struct{}),
		files: map[string]bool{}, dirs: map[string]bool{},
	}
	// Events are never dropped: the build waits for none of them, so many can be pending.
	const flags = unix.FAN_CLASS_NOTIF | unix.FAN_CLOEXEC | unix.FAN_NONBLOCK | unix.FAN_UNLIMITED_QUEUE
	const opens = unix.O_RDONLY | unix.O_LARGEFILE | unix.O_CLOEXEC | unix.O_NOATIME | unix.O_NONBLOCK
	if o.events, err = unix.FanotifyInit(flags, opens); err != nil {
		return nil, nil, fmt.Errorf("observe %s: %w: %w", path, engine.ErrUnsupported, err)
	}
	// The kernel resolves this name in the mount namespace of the process.
	if err = o.mark(fmt.Sprintf("/proc/%d/root%s", c.command.Process.Pid, path)); err == nil {
		o.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	}
	if err != nil {
		_ = unix.Close(o.events)
		return nil, nil, fmt.Errorf("observe %s: %w: %w", path, engine.ErrUnsupported, err)
	}
	go o.read()
	return o.next, sync.OnceFunc(o.stop), nil
}

// mark requests events of the file system at a path.
func (o *observation) mark(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return unix.FanotifyMark(
		o.events, unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, unix.FAN_OPEN|unix.FAN_ONDIR, int(dir.Fd()), "")
}

// Requests to the reader.
const (
	askNext = 1
	askStop = 1 << 32
)

// ask wakes the reader.
func (o *observation) ask(what uint64) {
	_, _ = unix.Write(o.wake, (*[8]byte)(unsafe.Pointer(&what))[:])
}

// next returns the files that were opened since the last call.
func (o *observation) next() engine.Opened {
	o.ask(askNext)
	select {
	case opened := <-o.answers:
		return opened
	case <-o.done: // it was stopped
		return engine.Opened{}
	}
}

// stop ends the reader.
func (o *observation) stop() {
	o.ask(askStop)
	<-o.done
}

// read reads events until it is asked to stop. Events of a process that has ended are all pending when
// next is called, so it reads them before it answers.
func (o *observation) read() {
	defer close(o.done)
	defer unix.Close(o.events)
	defer unix.Close(o.wake)
	for {
		files := []unix.PollFd{{Fd: int32(o.events), Events: unix.POLLIN}, {Fd: int32(o.wake), Events: unix.POLLIN}}
		if _, err := unix.Poll(files, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		var asked uint64
		if files[1].Revents != 0 {
			_, _ = unix.Read(o.wake, (*[8]byte)(unsafe.Pointer(&asked))[:])
		}
		if asked >= askStop {
			return
		}
		for o.readSome() {
		}
		if asked > 0 {
			o.answers <- engine.Opened{
				Files: slices.Sorted(maps.Keys(o.files)), Dirs: slices.Sorted(maps.Keys(o.dirs)),
			}
			clear(o.files)
			clear(o.dirs)
		}
	}
}

// readSome reads pending events, and reports whether there were any.
func (o *observation) readSome() bool {
	var buffer [16 << 10]byte
	n, err := unix.Read(o.events, buffer[:])
	if err != nil || n <= 0 {
		return errors.Is(err, unix.EINTR)
	}
	const size = int(unsafe.Sizeof(unix.FanotifyEventMetadata{}))
	for rest := buffer[:n]; len(rest) >= size; {
		e := (*unix.FanotifyEventMetadata)(unsafe.Pointer(&rest[0]))
		if int(e.Event_len) < size || int(e.Event_len) > len(rest) {
			return true
		}
		if e.Fd >= 0 {
			o.add(int(e.Fd))
			_ = unix.Close(int(e.Fd))
		}
		rest = rest[e.Event_len:]
	}
	return true
}

// add records the file of an event. The kernel shows its path in the sandbox.
func (o *observation) add(file int) {
	name, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(file))
	if err != nil {
		return
	}
	below, in := overlay.Below(o.tree, name)
	if !in || o.files[below] || o.dirs[below] {
		return
	}
	var info unix.Stat_t
	if err := unix.Fstat(file, &info); err == nil && info.Mode&unix.S_IFMT == unix.S_IFDIR {
		o.dirs[below] = true
		return
	}
	o.files[below] = true
}

var _ engine.Observer = (*Container)(nil)
