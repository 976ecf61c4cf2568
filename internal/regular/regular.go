// Package regular reads files whose contents come from outside: from a cloned
// repository, an output directory or a command line. Opening a named pipe waits
// for a writer and reading a device may never end, so both are refused, and
// every read has a limit.
package regular

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Error reports that a name does not lead to a regular file.
type Error struct {
	Name string
	Mode fs.FileMode // the actual type
}

// Error names the file and its actual type.
func (e *Error) Error() string {
	return fmt.Sprintf("%s is %s; expected a regular file", e.Name, e.Kind())
}

// Kind describes the actual type, such as "a named pipe".
func (e *Error) Kind() string { return kind(e.Mode) }

// TooLargeError reports a file with more bytes than the caller accepts.
type TooLargeError struct {
	Name  string
	Limit int64 // bytes
}

// Error names the file and the limit.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s is larger than %d bytes", e.Name, e.Limit)
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	}
	return "a special file"
}

// Open opens a regular file for reading, following symbolic links. For anything
// else the error is an *Error. It never waits for a writer.
func Open(name string) (*os.File, error) {
	return open(name, os.Stat, func() (*os.File, error) { return os.OpenFile(name, os.O_RDONLY|nonblock, 0) })
}

// OpenIn is Open for a name below root. Links that lead out of root are errors.
func OpenIn(root *os.Root, name string) (*os.File, error) {
	return open(name, root.Stat, func() (*os.File, error) { return root.OpenFile(name, os.O_RDONLY|nonblock, 0) })
}

// open asks twice: before, because opening a device can have an effect, and
// after, because the name may lead elsewhere by then.
func open(name string, stat func(string) (fs.FileInfo, error), open func() (*os.File, error)) (*os.File, error) {
	info, err := stat(name)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			path.Op = "open" // which is what failed, for the caller
		}
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{name, info.Mode()}
	}
	file, err := open()
	if err != nil {
		return nil, err
	}
	if info, err = file.Stat(); err == nil && !info.Mode().IsRegular() {
		err = &Error{name, info.Mode()}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// Read returns the contents of a regular file of at most limit bytes. A larger
// file is a *TooLargeError.
func Read(name string, limit int64) ([]byte, error) {
	file, err := Open(name)
	if err != nil {
		return nil, err
	}
	return readAll(name, file, limit)
}

// ReadIn is Read for a name below root.
func ReadIn(root *os.Root, name string, limit int64) ([]byte, error) {
	file, err := OpenIn(root, name)
	if err != nil {
		return nil, err
	}
	return readAll(name, file, limit)
}

func readAll(name string, file *os.File, limit int64) ([]byte, error) {
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, &TooLargeError{name, limit}
	}
	return text, nil
}

// ReadNamed is Read for a file that the user named on the command line. It also
// reads what a shell passes for <(command), a descriptor below /dev/fd, and takes
// the null device for an empty file. It returns when ctx ends.
func ReadNamed(ctx context.Context, name string, limit int64) ([]byte, error) {
	switch {
	case name == os.DevNull:
		return nil, nil
	case !isDescriptor(name):
		return Read(name, limit)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return WithContext(ctx, func() ([]byte, error) { return readAll(name, file, limit) })
}

// isDescriptor reports whether name is a descriptor of this process, which
// whoever started it has opened.
func isDescriptor(name string) bool {
	dir, number := filepath.Split(filepath.Clean(name))
	switch dir {
	case "/dev/fd/", "/proc/self/fd/":
		return number != "" && strings.Trim(number, "0123456789") == ""
	case "/dev/":
		return number == "stdin"
	}
	return false
}

// WithContext returns what read returns, or the cause of ctx when that ends
// first. A read that is waiting then goes on in the background.
func WithContext(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := read()
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
