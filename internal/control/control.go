// Package control is a private channel to a running process: a Unix socket, on which each
// connection carries any number of calls at once. It does not know their meaning.
//
// A connection begins with a line of JSON from each side, with the version of the protocol.
// Then it is multiplexed with yamux, and the client opens a stream for each call. A call
// begins with a line of JSON, the method and its parameters, and is answered with another
// one, a result or an error. The rest of the stream belongs to the call: plain bytes, or the
// frames of a process (see process.go).
//
// [Listen] serves calls to its own user and to root; [Dial] makes them. The end of a
// connection, for example because the client was killed, ends the contexts of its calls.
package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/hashicorp/yamux"
)

const (
	service  = "buildlocal-control" // begins both greetings
	protocol = 1                    // version; any change of the exchange increases it
)

// maxLine is the longest greeting, call or answer, in bytes. Calls have command lines and
// scripts, but no files.
const maxLine = 4 << 20

// Errors of both sides.
var (
	// ErrEnded is wrapped by errors of calls that the end of the server has interrupted.
	ErrEnded = errors.New("the build has ended")
	// ErrNoServer is wrapped by the error of Dial if no process listens at the path.
	ErrNoServer = errors.New("no build listens there")
	// ErrClientGone is the cause of the end of a call's context if its client has gone.
	ErrClientGone = errors.New("the client has disconnected")
)

// Error is an error that was sent to the client. A handler returns one to choose the code;
// any other error is sent without a code.
type Error struct {
	Code    string `json:"code,omitempty"` // for programs; its meaning is the caller's
	Message string `json:"message"`
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// codeEnded is the code of ErrEnded. Its own text is the first part of the message.
const codeEnded = "ended"

// asError returns an error in the form in which it is sent.
func asError(err error) *Error {
	var e *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case errors.Is(err, ErrEnded):
		return &Error{Code: codeEnded, Message: err.Error()}
	}
	return &Error{Message: err.Error()}
}

// received returns the error that the other side has sent, for errors.Is.
func (e *Error) received() error {
	if e.Code != codeEnded {
		return e
	}
	if rest, found := strings.CutPrefix(e.Message, ErrEnded.Error()); found {
		return fmt.Errorf("%w%s", ErrEnded, rest)
	}
	return fmt.Errorf("%w: %s", ErrEnded, e.Message)
}

// greeting is the first line of each side.
type greeting struct {
	Service string `json:"service"`
	Version int    `json:"version"`
	Error   *Error `json:"error,omitempty"` // why the server refuses the client
}

// check returns an error unless the other side speaks this version of the protocol.
func (g greeting) check(peer string) error {
	switch {
	case g.Service != service:
		return fmt.Errorf("the %s does not speak the protocol of buildlocal", peer)
	case g.Version == protocol:
		return nil
	}
	age := "a newer"
	if g.Version < protocol {
		age = "an older"
	}
	return fmt.Errorf("the %s is %s version of buildlocal (protocol %d, expected %d)\n"+
		"Use the same version of buildlocal for both", peer, age, g.Version, protocol)
}

// call is the first line of a stream.
type call struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params,omitempty"`
}

// answer is the line that answers it.
type answer struct {
	Error  *Error          `json:"error,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
}

// settings returns the configuration of both ends. Neither side gives up on the other: a
// client that is suspended by Ctrl-Z continues later, and one that dies closes the socket.
func settings() *yamux.Config {
	c := yamux.DefaultConfig()
	c.LogOutput = io.Discard // a broken connection is a normal end
	c.EnableKeepAlive = false
	c.ConnectionWriteTimeout = time.Duration(math.MaxInt64)
	c.StreamOpenTimeout = 0
	c.StreamCloseTimeout = 0 // a stream may be half-closed for as long as a client likes
	return c
}

// writeLine writes a value as one line of JSON.
func writeLine(w io.Writer, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// readLine reads one line of JSON.
func readLine(r io.ByteReader, value any) error {
	var line []byte
	for {
		b, err := r.ReadByte()
		switch {
		case err == io.EOF && len(line) > 0:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case b == '\n':
			return json.Unmarshal(line, value)
		case len(line) == maxLine:
			return fmt.Errorf("a line of more than %d bytes", maxLine)
		}
		line = append(line, b)
	}
}

// singleBytes reads a connection byte by byte, because the bytes after the greeting belong
// to another reader.
type singleBytes struct{ io.Reader }

// ReadByte reads one byte.
func (r singleBytes) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(r, b[:])
	return b[0], err
}

// channel is the stream of one call, with a reader that has read ahead the line of the call.
type channel struct {
	*yamux.Stream
	reader *bufio.Reader
}

func newChannel(s *yamux.Stream) *channel {
	return &channel{Stream: s, reader: bufio.NewReaderSize(s, maxFrame+frameHeader)}
}

// Read reads bytes of the other side.
func (c *channel) Read(p []byte) (int, error) { return c.reader.Read(p) }

// interrupt makes reads fail, those that wait too.
func (c *channel) interrupt() { _ = c.SetReadDeadline(time.Unix(1, 0)) }
