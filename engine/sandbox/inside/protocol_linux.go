package inside

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/internal/untar"
)

// ServerName is the program name of the server. It communicates at the file descriptor
// Socket.
const ServerName = "buildlocal-sandbox-init"

// Socket is the file descriptor at which both processes receive requests.
const Socket = 3

// The operations of requests.
const (
	Again  = "again"  // execute itself again, after user IDs were mapped
	Layer  = "layer"  // unpack a layer below Path, and exit
	Remove = "remove" // remove Path, and exit
	Link   = "link"   // copy the layer Path to Target as links, and exit
	Warm   = "warm"   // start the first process; Lay follows
	Lay    = "lay"    // mount the file system
	Main   = "main"   // make the first process execute a program
	Exec   = "exec"   // start another program
	Kill   = "kill"   // kill the process of a request, and its process group
	Pack   = "pack"   // write Path as a tar stream
	Unpack = "unpack" // unpack a tar stream below Path

	Snapshot = "snapshot" // copy the changes on the disk to the first file, a directory; see overlay.Copying

	Preserve = "preserve" // do not remove the changes on the disk at the end; it has no response
)

// Request is a request to the server. Files come with it: streams, or the files by which
// processes join control groups.
type Request struct {
	Op       string
	ID       int        // increasing
	Metadata []Metadata `json:",omitempty"` // of Warm: addresses to block
	Layout   *Rootfs    `json:",omitempty"`
	Args     []string   `json:",omitempty"`
	Env      []string   `json:",omitempty"`
	Path     string     `json:",omitempty"` // a directory, or the file to pack
	Target   string     `json:",omitempty"` // of Link
	User     string     `json:",omitempty"`
	TTY      bool       `json:",omitempty"` // the only file is a socket that receives the terminal
	Opaque   string     `json:",omitempty"` // as in untar.Unpacking
	Since    time.Time  `json:",omitzero"`  // of Snapshot, see overlay.Copying
	Owners   bool       `json:",omitempty"`
}

// Response reports that a request was begun, or that it has ended. A request that fails at
// once has a single response. The ID is 0 for requests that the server answers before it
// serves others, and for Touched, which no request causes.
type Response struct {
	ID        int
	Done      bool   // the request has ended
	Exit      int    // exit code of a process; 128 and the number of the signal that killed it
	Fault     string `json:",omitempty"`
	Errno     int    `json:",omitempty"` // of the fault, if it comes from the kernel
	Escape    bool   `json:",omitempty"` // the fault is a name that leaves its directory
	Tree      bool   `json:",omitempty"` // the fault is ErrTree
	Memory    bool   `json:",omitempty"` // changes are kept in memory
	Volatile  bool   `json:",omitempty"` // some of them are
	Unguarded string `json:",omitempty"` // why metadata addresses are not blocked
	Bytes     int64  `json:",omitempty"` // that a snapshot has copied
	Touched   string `json:",omitempty"` // a metadata address that was tried for the first time
}

// Err returns the error of a response. errors.Is recognizes its cause.
func (a Response) Err() error {
	switch {
	case a.Fault == "":
		return nil
	case a.Tree:
		return &remoteError{a.Fault, ErrTree}
	case a.Escape:
		return &remoteError{a.Fault, untar.ErrEscape}
	case a.Errno != 0:
		return &remoteError{a.Fault, syscall.Errno(a.Errno)}
	}
	return errors.New(a.Fault)
}

// remoteError is an error that was received.
type remoteError struct {
	text string
	err  error
}

func (t *remoteError) Error() string { return t.text }
func (t *remoteError) Unwrap() error { return t.err }

// maxMessage is the maximum length of a message in bytes: a command line can have 2 MiB,
// and a source many names to hide.
const maxMessage = 64 << 20

// headLength is the number of hexadecimal digits with the length of a message.
const headLength = 8

// Encode returns a message in its transfer format: its length as text, which carries the
// files, and JSON.
func Encode(message any) (head, text []byte, err error) {
	if text, err = json.Marshal(message); err != nil {
		return nil, nil, err
	}
	if len(text) > maxMessage {
		return nil, nil, fmt.Errorf("a request to the sandbox of %d bytes, the limit is %d", len(text), maxMessage)
	}
	return fmt.Appendf(nil, "%0*x", headLength, len(text)), text, nil
}

// Decode reads a message without files, or the rest of one whose head was partly read.
func Decode(from io.Reader, head []byte, message any) error {
	rest := make([]byte, headLength-len(head))
	if _, err := io.ReadFull(from, rest); err != nil {
		return err
	}
	length, err := strconv.ParseUint(string(head)+string(rest), 16, 32)
	if err != nil || length > maxMessage {
		return fmt.Errorf("a message of %q bytes", head)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(from, text); err != nil {
		return err
	}
	return json.Unmarshal(text, message)
}

// send sends a message over a socket. The files are attached to the head only: the kernel
// delivers them with its first byte, and only the head is read with recvmsg.
func send(socket int, message any, files []int) error {
	head, text, err := Encode(message)
	if err != nil {
		return err
	}
	var rights []byte
	if len(files) > 0 {
		rights = unix.UnixRights(files...)
	}
	if err := retry(func() error { return unix.Sendmsg(socket, head, rights, nil, unix.MSG_NOSIGNAL) }); err != nil {
		return err
	}
	_, err = stream(socket).Write(text)
	return err
}

// receive waits for a message and its files.
func receive(socket int, message any) ([]int, error) {
	const most = 8 // files: three streams, or the files of the control groups
	head, rights := make([]byte, headLength), make([]byte, unix.CmsgSpace(most*4))
	var n, rightsLength int
	err := retry(func() (err error) {
		n, rightsLength, _, _, err = unix.Recvmsg(socket, head, rights, unix.MSG_CMSG_CLOEXEC)
		return err
	})
	if err != nil || n == 0 { // n is 0 if the other process has ended
		return nil, errors.Join(err, io.EOF)
	}
	files, err := Files(rights[:rightsLength])
	if err != nil {
		return nil, err
	}
	return files, Decode(stream(socket), head[:n], message)
}

// Files returns the file descriptors that came with a message.
func Files(rights []byte) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	var files []int
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return nil, err
		}
		files = append(files, fds...)
	}
	return files, nil
}

// retry repeats an operation that was interrupted by a signal.
func retry(do func() error) error {
	for {
		if err := do(); err != unix.EINTR {
			return err
		}
	}
}

// stream is a socket or pipe that blocks the thread. The poller of the runtime is not
// initialized yet.
type stream int

// Read reads some bytes.
func (s stream) Read(b []byte) (n int, err error) {
	err = retry(func() (err error) { n, err = unix.Read(int(s), b); return err })
	if n == 0 && err == nil && len(b) > 0 {
		err = io.EOF
	}
	return max(n, 0), err
}

// Write writes all of b.
func (s stream) Write(b []byte) (int, error) {
	written := 0
	for written < len(b) {
		var n int
		if err := retry(func() (err error) {
			n, err = unix.SendmsgN(int(s), b[written:], nil, nil, unix.MSG_NOSIGNAL)
			return err
		}); err != nil {
			return written, err
		}
		written += n
	}
	return written, nil
}

func closeAll(files []int) {
	for _, f := range files {
		_ = unix.Close(f)
	}
}

func openFile(fd int) *os.File { return os.NewFile(uintptr(fd), "stream") }
