// Package relay carries connections over one stream: what stands in another network
// namespace accepts them, this side serves them.
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

// Name is what the program at the far side is called: this one, run as Far.
const Name = "buildlocal-relay"

// hello is the first that the far side says, on a stream of its own.
type hello struct {
	Addresses []string // where it listens, one for each that was asked for
	Fault     string
}

func settings() *yamux.Config {
	c := yamux.DefaultConfig()
	c.LogOutput = io.Discard
	c.EnableKeepAlive = false // either end of the stream ends with its process
	return c
}

// Far listens at addresses and carries each connection over stream, until that ends.
// An address that this machine does not have is replaced by a port of 127.0.0.1. One
// without a port is first made this network namespace's own, which needs CAP_NET_ADMIN
// there. The error is why it cannot.
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
	if err := take(own); err != nil {
		h.Fault = err.Error()
	}
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
	first, err := session.Open()
	if err != nil {
		return err
	}
	err = json.NewEncoder(first).Encode(h)
	<-session.CloseChan()
	return err
}

// accept carries the connections of one listener, whose number goes first.
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

// carry copies both ways, until one side has said all and the other too.
func carry(a, b net.Conn) {
	var group sync.WaitGroup
	group.Go(func() {
		_, _ = io.Copy(b, a)
		_ = b.Close()
	})
	_, _ = io.Copy(a, b)
	if half, can := a.(*net.TCPConn); can {
		_ = half.CloseWrite()
	}
	group.Wait()
}

// patience is how long the far side may take to listen.
const greetingTimeout = 20 * time.Second

// Near is this side. It returns a listener for each of count addresses, and where the
// far side listens for it. Closing stream ends them.
func Serve(stream io.ReadWriteCloser, count int) ([]net.Listener, []string, error) {
	session, err := yamux.Server(stream, settings())
	if err != nil {
		return nil, nil, err
	}
	h, err := greeted(session)
	if err == nil && h.Fault != "" {
		err = errors.New(h.Fault)
	}
	if err == nil && len(h.Addresses) != count {
		err = fmt.Errorf("it listens at %d addresses; expected %d", len(h.Addresses), count)
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

func greeted(session *yamux.Session) (hello, error) {
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

// share hands each connection to the listener it is for.
func share(session *yamux.Session, queues []chan net.Conn) {
	for {
		c, err := session.Accept()
		if err != nil {
			return
		}
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

// listener is a net.Listener of what comes over a session.
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

// Addr is that of the stream.
func (l *listener) Addr() net.Addr { return l.session.Addr() }
