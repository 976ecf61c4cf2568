// Package relay forwards TCP connections over a single stream, from a network namespace in
// which this program runs a helper to the process that serves them.
//
// The helper calls [Listen]. The serving process calls [Attach] with the other end of the
// stream, such as the standard streams of a container, and gets a net.Listener for each
// address. Connections are multiplexed with yamux; on each, the helper first sends the
// number of the listener.
package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// Name is the base name under which this program runs as the helper: main calls Listen if
// it was started with that name.
const Name = "buildlocal-relay"

// hello is the helper's first message, on a stream of its own.
type hello struct {
	Addresses []string // where it listens, one for each requested address
	Fault     string   // why it does not; empty on success
}

// settings returns the configuration of both ends.
func settings() *yamux.Config {
	c := yamux.DefaultConfig()
	c.LogOutput = io.Discard  // a broken stream is the normal end
	c.EnableKeepAlive = false // the stream breaks when either process ends
	return c
}

// Listen accepts connections at addresses and forwards each over stream, until stream ends.
// An address that cannot be used is replaced by a free port of 127.0.0.1; Attach returns
// where each listener is. An address without a port is not listened at, but added to the
// loopback interface first, which requires CAP_NET_ADMIN in the network namespace.
func Listen(stream io.ReadWriteCloser, addresses []string) error {
	session, err := yamux.Client(stream, settings())
	if err != nil {
		return err
	}
	defer session.Close()
	var h hello
	var own, listened []string
	for _, address := range addresses {
		if strings.Contains(address, ":") {
			listened = append(listened, address)
		} else {
			own = append(own, address)
		}
	}
	if err := take(own); err != nil { // then the helper must not seem to work
		h.Fault = err.Error()
	}
	// With a free port the build still has the service: its variables name the real address.
	for i, address := range listened {
		l, err := net.Listen("tcp", address)
		if err != nil {
			l, err = net.Listen("tcp", "127.0.0.1:0")
		}
		if err != nil {
			h.Fault = err.Error()
			break
		}
		defer l.Close()
		h.Addresses = append(h.Addresses, l.Addr().String())
		go accept(l, session, byte(i))
	}
	// Attach takes the first stream of the session for the hello, so no client may connect
	// before it is opened.
	first, err := session.Open()
	if err != nil {
		return err
	}
	err = json.NewEncoder(first).Encode(h)
	<-session.CloseChan()
	return err
}

// accept forwards the connections of one listener.
func accept(l net.Listener, session *yamux.Session, number byte) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			s, err := session.Open()
			if err != nil {
				return
			}
			defer s.Close()
			if _, err := s.Write([]byte{number}); err != nil {
				return
			}
			carry(c, s)
		}()
	}
}

// carry copies in both directions until both sides have closed theirs. A side that has
// only sent everything can still receive.
func carry(a, b net.Conn) {
	var group sync.WaitGroup
	group.Go(func() {
		_, _ = io.Copy(b, a)
		_ = b.Close()
	})
	_, _ = io.Copy(a, b)
	// yamux has no half-close: Close of a stream ends one direction only.
	if half, can := a.(*net.TCPConn); can {
		_ = half.CloseWrite()
	}
	group.Wait()
}

// greetingTimeout bounds how long the helper may take to start and listen. A container
// starts in less than a second, except on a loaded machine.
const greetingTimeout = 20 * time.Second

// ConnectWord is the first argument of a helper that makes one connection. The second is a port.
const ConnectWord = "connect"

// NoAnswer is the exit status of a helper whose connection was refused.
const NoAnswer = 69

// ErrNoAnswer is returned by Connect if nothing listens at the port.
var ErrNoAnswer = errors.New("nothing answers at the port")

// Connect connects a stream with a port of this network namespace, until both directions have
// ended. It sends a zero byte first, when it is connected.
func Connect(stream io.ReadWriteCloser, port string) error {
	c, err := net.Dial("tcp", net.JoinHostPort("localhost", port))
	if err != nil {
		return fmt.Errorf("%w %s: %w", ErrNoAnswer, port, err)
	}
	defer c.Close()
	if _, err := stream.Write([]byte{0}); err != nil {
		return err
	}
	var input sync.WaitGroup
	input.Go(func() {
		_, _ = io.Copy(c, stream)
		_ = c.(*net.TCPConn).CloseWrite()
	})
	_, err = io.Copy(stream, c)
	_ = stream.Close() // ends the output
	input.Wait()
	return err
}

// Attach waits for the helper at the other end of stream. It returns a listener for each of
// count addresses, and the addresses at which the helper really listens. Closing stream, or
// any of the listeners, closes all of them.
func Attach(stream io.ReadWriteCloser, count int) ([]net.Listener, []string, error) {
	session, err := yamux.Server(stream, settings())
	if err != nil {
		return nil, nil, err
	}
	h, err := readHello(session)
	if err == nil && h.Fault != "" {
		err = errors.New(h.Fault)
	}
	if err == nil && len(h.Addresses) != count {
		err = fmt.Errorf("the relay listens at %d addresses, expected %d", len(h.Addresses), count)
	}
	if err != nil {
		return nil, nil, errors.Join(err, session.Close())
	}
	var all []net.Listener
	var queues []chan net.Conn
	for range count {
		l := &listener{session: session, queue: make(chan net.Conn)}
		all, queues = append(all, l), append(queues, l.queue)
	}
	go share(session, queues)
	return all, h.Addresses, nil
}

// readHello reads the hello of the helper.
func readHello(session *yamux.Session) (hello, error) {
	var h hello
	late := time.AfterFunc(greetingTimeout, func() { session.Close() })
	defer late.Stop()
	first, err := session.Accept()
	if err != nil {
		return h, fmt.Errorf("the relay does not answer: %w", err)
	}
	defer first.Close()
	return h, json.NewDecoder(first).Decode(&h)
}

// share passes each connection to its listener.
func share(session *yamux.Session, queues []chan net.Conn) {
	for {
		c, err := session.Accept()
		if err != nil {
			return
		}
		// In a goroutine, because a client that sends no number, or a listener that accepts
		// nothing, must not keep others from being served.
		go func() {
			number := make([]byte, 1)
			if _, err := io.ReadFull(c, number); err != nil || int(number[0]) >= len(queues) {
				c.Close()
				return
			}
			select {
			case queues[number[0]] <- c:
			case <-session.CloseChan():
				c.Close()
			}
		}()
	}
}

// listener accepts the connections of one address. All listeners share a session.
type listener struct {
	session *yamux.Session
	queue   chan net.Conn
}

// Accept waits for a connection.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.session.CloseChan():
		return nil, net.ErrClosed
	}
}

// Close ends the session.
func (l *listener) Close() error { return l.session.Close() }

// Addr returns the address of the stream, not that of the helper.
func (l *listener) Addr() net.Addr { return l.session.Addr() }
