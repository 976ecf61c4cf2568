package control

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Frames of a process. Each has a kind, its length as four bytes, and a payload. The client
// sends at most maxPending pieces of input that the process has not read, so that a new size
// of the terminal never waits for a process that does not read.
const (
	frameStdin    = 1 + iota // client: a piece of the input
	frameStdinEnd            // client: the input has ended
	frameResize              // client: a Size
	frameTaken               // server: the process has read a piece of input
	frameStdout              // server: output
	frameStderr              // server: output
	frameExit                // server: the end, an ending
)

const (
	frameHeader = 5
	maxFrame    = 32 << 10 // bytes of a payload
	maxPending  = 8
)

// errFrame is wrapped by errors about frames that the other side should not have sent.
var errFrame = errors.New("unexpected data")

// Size is that of a terminal.
type Size struct{ Columns, Rows uint16 }

// Streams are those of a process.
type Streams struct {
	Stdin          io.Reader   // nil for none
	Stdout, Stderr io.Writer   // output to nil is discarded
	Resized        <-chan Size // nil without a terminal
}

// ending is the payload of frameExit.
type ending struct {
	Exit  int    `json:"exit"`
	Error *Error `json:"error,omitempty"`
}

// frames writes frames from several goroutines.
type frames struct {
	mu sync.Mutex
	w  io.Writer
}

// write writes one frame, in one piece: yamux sends a header of its own for each write.
func (f *frames) write(kind byte, payload []byte) error {
	frame := make([]byte, frameHeader, frameHeader+len(payload))
	frame[0] = kind
	binary.BigEndian.PutUint32(frame[1:], uint32(len(payload)))
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.w.Write(append(frame, payload...))
	return err
}

// output returns a writer for an output of the process.
func (f *frames) output(kind byte) io.Writer { return output{f, kind} }

type output struct {
	*frames
	kind byte
}

// Write sends frames.
func (o output) Write(p []byte) (int, error) {
	for sent := 0; sent < len(p); {
		piece := p[sent:min(sent+maxFrame, len(p))]
		if err := o.write(o.kind, piece); err != nil {
			return sent, err
		}
		sent += len(piece)
	}
	return len(p), nil
}

// readFrame reads one frame. The payload is the caller's.
func readFrame(r *bufio.Reader) (kind byte, payload []byte, err error) {
	var header [frameHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(header[1:])
	if length > maxFrame {
		return 0, nil, fmt.Errorf("%w: a piece of %d bytes", errFrame, length)
	}
	payload = make([]byte, length)
	_, err = io.ReadFull(r, payload)
	return header[0], payload, err
}

// Run accepts the call and runs a process with the streams of the client. The context of the
// process ends when the client has gone.
func (c *Call) Run(ctx context.Context, process func(context.Context, Streams) (exit int, err error)) error {
	if _, err := c.Accept(nil); err != nil {
		return err
	}
	called := ctx
	ctx, cancel := context.WithCancelCause(called)
	defer cancel(nil)
	to := &frames{w: c.stream}
	in := &input{ctx: ctx, pieces: make(chan []byte, maxPending), taken: func() error { return to.write(frameTaken, nil) }}
	resized := make(chan Size, 1)
	received := make(chan struct{})
	go func() {
		defer close(received)
		cancel(receive(c.stream.reader, in, resized))
	}()
	exit, err := process(ctx, Streams{
		Stdin: in, Stdout: to.output(frameStdout), Stderr: to.output(frameStderr), Resized: resized,
	})
	if err != nil && called.Err() != nil {
		err = context.Cause(called)
	}
	payload, _ := json.Marshal(ending{Exit: exit, Error: asError(err)})
	sent := to.write(frameExit, payload)
	c.stream.interrupt()
	<-received
	return sent
}

// receive reads the frames of a client until it has gone, and returns the reason.
func receive(from *bufio.Reader, in *input, resized chan Size) error {
	ended := false
	defer func() {
		if !ended {
			close(in.pieces)
		}
	}()
	for {
		kind, payload, err := readFrame(from)
		switch {
		case errors.Is(err, errFrame):
			return err
		case err != nil:
			return ErrClientGone
		case kind == frameStdin && !ended && len(in.pieces) < maxPending:
			in.pieces <- payload
		case kind == frameStdinEnd && !ended:
			ended, in.complete = true, true
			close(in.pieces)
		case kind == frameResize:
			var size Size
			if err := json.Unmarshal(payload, &size); err != nil {
				return fmt.Errorf("%w: %w", errFrame, err)
			}
			replace(resized, size)
		default:
			return fmt.Errorf("%w: kind %d", errFrame, kind)
		}
	}
}

// replace puts the newest size into a channel with room for one.
func replace(sizes chan Size, size Size) {
	select {
	case <-sizes:
	default:
	}
	sizes <- size // only this goroutine sends
}

// input is the standard input of a process.
type input struct {
	ctx      context.Context
	pieces   chan []byte
	complete bool // the input has ended, and was not cut off; set before pieces is closed
	taken    func() error
	rest     []byte
}

// Read reads bytes of the client. An input that was cut off does not look complete.
func (in *input) Read(p []byte) (int, error) {
	for len(in.rest) == 0 {
		select {
		case piece, open := <-in.pieces:
			if !open && in.complete {
				return 0, io.EOF
			}
			if !open {
				return 0, io.ErrUnexpectedEOF
			}
			if err := in.taken(); err != nil {
				return 0, err
			}
			in.rest = piece
		case <-in.ctx.Done():
			return 0, context.Cause(in.ctx)
		}
	}
	n := copy(p, in.rest)
	in.rest = in.rest[n:]
	return n, nil
}

// Run connects streams to the process of the call, and returns its exit status. If a stream
// fails, the call ends with that error. A read of Stdin that does not return is abandoned.
func (s *Stream) Run(ctx context.Context, streams Streams) (exit int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, s.interrupt)()
	to := &frames{w: s.channel}
	slots := make(chan struct{}, maxPending)
	go func() {
		if err := send(ctx, to, streams.Stdin, slots); err != nil {
			cancel(err)
		}
	}()
	go func() {
		for {
			select {
			case size := <-streams.Resized:
				payload, _ := json.Marshal(size)
				_ = to.write(frameResize, payload) // the reader below finds a lost connection
			case <-ctx.Done():
				return
			}
		}
	}()
	exit, err = s.results(streams, slots)
	if ctx.Err() != nil && err != nil {
		err = context.Cause(ctx)
	}
	return exit, err
}

// send sends the input. A slot is taken for each piece until the process has read it.
func send(ctx context.Context, to *frames, from io.Reader, slots chan struct{}) error {
	if from == nil {
		from = eof{}
	}
	buffer := make([]byte, maxFrame)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			if to.write(frameStdin, buffer[:n]) != nil {
				return nil // the connection is lost: see results
			}
		}
		if errors.Is(err, io.EOF) {
			_ = to.write(frameStdinEnd, nil)
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the input: %w", err)
		}
	}
}

// eof is an empty input.
type eof struct{}

// Read returns the end.
func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// results receives output until the process has ended.
func (s *Stream) results(streams Streams, slots chan struct{}) (exit int, err error) {
	outputs := map[byte]io.Writer{frameStdout: streams.Stdout, frameStderr: streams.Stderr}
	for {
		kind, payload, err := readFrame(s.channel.reader)
		if err != nil {
			return 0, s.client.lost(err)
		}
		switch kind {
		case frameStdout, frameStderr:
			if w := outputs[kind]; w != nil {
				_, err = w.Write(payload)
			}
		case frameTaken:
			select {
			case <-slots:
			default:
				err = fmt.Errorf("%w: kind %d", errFrame, kind)
			}
		case frameExit:
			var end ending
			if err := json.Unmarshal(payload, &end); err != nil || end.Error == nil {
				return end.Exit, err
			}
			return end.Exit, end.Error.received()
		default:
			err = fmt.Errorf("%w: kind %d", errFrame, kind)
		}
		if err != nil {
			return 0, err
		}
	}
}
