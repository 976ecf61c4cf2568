package sandbox

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine/sandbox/inside"
)

// server is this program, started again to do things that this process cannot: to act as another
// user or in other namespaces. It handles requests on a socket (package inside), and exits
// when the socket is closed.
type server struct {
	command *exec.Cmd
	conn    *net.UnixConn
	answers *bufio.Reader
	gone    chan struct{} // closed when it has exited
}

// start starts a server with an identity in new namespaces. Its name is visible in process
// lists.
func (id identity) start(name string, flags uintptr) (*server, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	p := &server{conn: ours, answers: bufio.NewReader(ours), gone: make(chan struct{})}
	// The executable is this very file, even if its path now leads to a newer version. The
	// environment is empty, because that of the user is visible to processes of the sandbox
	// (/proc/PID/environ).
	p.command = &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{inside.ServerName, name}, Env: []string{}, ExtraFiles: []*os.File{theirs},
		SysProcAttr: id.processAttributes(flags),
	}
	if err := p.command.Start(); err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	go func() {
		_ = p.command.Wait()
		close(p.gone)
	}()
	// Root needs no maps, and Start has written those of a single ID.
	if id.kind != idsRange {
		return p, nil
	}
	// It lost all capabilities in exec, because its user ID was not mapped yet. Now that it
	// is, it executes itself again.
	err = id.writeIDMaps(p.command.Process.Pid)
	if err == nil {
		err = p.send(inside.Request{Op: inside.Again})
	}
	if err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// kill kills the server and waits for it.
func (p *server) kill() {
	_ = p.command.Process.Kill()
	<-p.gone
	_ = p.conn.Close()
}

// socketPair returns two connected sockets. They carry requests and open files, which a pipe
// cannot.
func socketPair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	file := os.NewFile(uintptr(fds[0]), "sandbox")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, nil, errors.Join(err, unix.Close(fds[1]))
	}
	return conn.(*net.UnixConn), os.NewFile(uintptr(fds[1]), "sandbox"), nil
}

// send sends a request with its files.
func (p *server) send(r inside.Request, files ...*os.File) error {
	head, text, err := inside.Encode(r)
	if err != nil {
		return err
	}
	var rights []byte
	if len(files) > 0 {
		var fds []int
		for _, f := range files {
			fds = append(fds, int(f.Fd()))
		}
		// Files are attached to the first bytes of a request, so the server has them before it
		// decodes the rest.
		rights = unix.UnixRights(fds...)
	}
	if _, _, err := p.conn.WriteMsgUnix(head, rights, nil); err != nil {
		return err
	}
	_, err = p.conn.Write(text)
	return err
}

// receive waits for the next response.
func (p *server) receive() (inside.Response, error) {
	var a inside.Response
	err := inside.Decode(p.answers, nil, &a)
	return a, err
}

// ask sends a request and waits for its only response. If ctx ends first, the server is
// killed.
func (p *server) ask(ctx context.Context, r inside.Request, files ...*os.File) (inside.Response, error) {
	stop := context.AfterFunc(ctx, func() { _ = p.command.Process.Kill() })
	defer stop()
	// A server that has already failed breaks the connection. Its response may still be
	// readable, and has the reason.
	sent := p.send(r, files...)
	if sent != nil && !errors.Is(sent, unix.EPIPE) {
		return inside.Response{}, sent
	}
	a, err := p.receive() // an exited server may have sent the reason
	if sent != nil && err != nil {
		err = sent
	}
	if ctx.Err() != nil {
		return a, context.Cause(ctx)
	}
	return a, errors.Join(err, a.Err())
}

// once starts a server with an identity for a single request.
func (id identity) once(ctx context.Context, r inside.Request, files ...*os.File) error {
	p, err := id.start("", 0)
	if err != nil {
		return err
	}
	_, err = p.ask(ctx, r, files...)
	p.kill()
	return err
}
