package first

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"
)

// Order is what the first process is told: a message of Length and JSON, which the
// three streams come with.
type Order struct {
	Drop    []int    // capabilities no process gets
	Program string   // path of what it becomes; empty to wait for its end
	Args    []string // of it, its name first
	Env     []string
	Dir     string
	User    *syscall.Credential // nil for root
}

// Socket is the file descriptor by which it is told. It says there what went wrong;
// the socket is closed when all went well.
const Socket = 3

// Ready is what it writes when it needs nothing more of the machine's files.
const Ready = '+'

// Length is how many bytes say how long an order is, in hexadecimal digits.
const Length = 8

func init() {
	if len(os.Args) == 0 || os.Args[0] != Name {
		return
	}
	syscall.CloseOnExec(Socket)
	_, _ = syscall.Write(Socket, []byte{Ready})
	o, streams, err := receive()
	if err == nil {
		err = o.follow(streams)
	}
	_, _ = syscall.Write(Socket, []byte(err.Error()))
	os.Exit(1)
}

// receive waits for the order.
func receive() (Order, []int, error) {
	var o Order
	head, rights := make([]byte, Length), make([]byte, syscall.CmsgSpace(3*4))
	n, rightsLength, _, _, err := syscall.Recvmsg(Socket, head, rights, syscall.MSG_CMSG_CLOEXEC)
	if err != nil || n != Length {
		return o, nil, errors.Join(err, io.EOF)
	}
	length, err := strconv.ParseUint(string(head), 16, 32)
	if err != nil {
		return o, nil, err
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(reader{}, text); err != nil {
		return o, nil, err
	}
	messages, err := syscall.ParseSocketControlMessage(rights[:rightsLength])
	if err != nil || len(messages) != 1 {
		return o, nil, errors.Join(err, io.EOF)
	}
	streams, err := syscall.ParseUnixRights(&messages[0])
	return o, streams, errors.Join(err, json.Unmarshal(text, &o))
}

// reader reads the socket, which is no file to wait for with others.
type reader struct{}

func (reader) Read(b []byte) (int, error) {
	n, err := syscall.Read(Socket, b)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

// follow does what it is told. It returns why it could not.
func (o Order) follow(streams []int) error {
	// Where some of /proc is hidden from this machine, as in a container, a new
	// one is refused, and the old one stays.
	_ = syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, "")
	for _, capability := range o.Drop {
		_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_CAPBSET_DROP, uintptr(capability), 0)
		if errno != 0 && errno != syscall.EINVAL { // one the kernel does not know
			return errors.New("drop a capability: " + errno.Error())
		}
	}
	for i, s := range streams {
		if err := syscall.Dup3(s, i, 0); err != nil {
			return err
		}
	}
	if o.Program == "" {
		_ = syscall.Close(Socket)
		wait()
	}
	if err := become(o.User); err != nil {
		return errors.New("become another user: " + err.Error())
	}
	if err := os.Chdir(o.Dir); err != nil {
		return err
	}
	return syscall.Exec(o.Program, o.Args, o.Env)
}

func become(user *syscall.Credential) error {
	if user == nil {
		return nil
	}
	groups := make([]int, 0, len(user.Groups))
	for _, g := range user.Groups {
		groups = append(groups, int(g))
	}
	return errors.Join(syscall.Setgroups(groups), syscall.Setgid(int(user.Gid)), syscall.Setuid(int(user.Uid)))
}

// wait stays, and reaps those who lost their parent.
func wait() {
	for {
		if _, err := syscall.Wait4(-1, nil, 0, nil); err == syscall.ECHILD {
			time.Sleep(time.Second)
		}
	}
}
