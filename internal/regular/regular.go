// Package regular reads files that come from outside: from a cloned repository, an output directory
// or a command line.
//
// Opening a named pipe waits for a writer, opening a device can have side effects, and reading one
// may never end. Open, Read and FS therefore accept only regular files, and reads have a limit. Any
// code that opens a file at a path it does not control must use this package.
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

// Error is the error for a name that does not refer to a regular file.
type Error struct {
	Name string
	Mode fs.FileMode // the actual type
}

// Error returns a message with the name and the actual type.
func (e *Error) Error() string {
	return fmt.Sprintf("%s is %s; expected a regular file", e.Name, e.Kind())
}

// Kind describes the actual type, such as "a named pipe".
func (e *Error) Kind() string { return kind(e.Mode) }

// TooLargeError is the error for a file that exceeds the caller's limit.
type TooLargeError struct {
	Name  string
	Limit int64 // bytes
}

// Error returns a message with the name and the limit.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s is larger than %d bytes", e.Name, e.Limit)
}

// BrokenLinkError is the reason why a symlink whose target does not exist cannot be opened. It is
// an fs.ErrNotExist.
type BrokenLinkError struct{ Target string }

// Error returns a message with the target.
func (e *BrokenLinkError) Error() string { return "broken symbolic link to " + e.Target }

// Is reports whether target is fs.ErrNotExist.
func (e *BrokenLinkError) Is(target error) bool { return target == fs.ErrNotExist }

// kind describes a file type.
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

// Open opens a regular file for reading. It follows symlinks. For other types of files it returns
// an *Error. It never waits for a writer.
func Open(name string) (*os.File, error) {
	return open(name, statNamed, func() (*os.File, error) { return os.OpenFile(name, os.O_RDONLY|nonblock, 0) })
}

// statNamed is os.Stat, with another error for a symlink without target: the name itself exists.
func statNamed(name string) (fs.FileInfo, error) {
	info, err := os.Stat(name)
	var path *fs.PathError
	if !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &path) {
		return info, err
	}
	if target, notLink := os.Readlink(name); notLink == nil {
		path.Err = &BrokenLinkError{Target: target}
	}
	return nil, err
}

// OpenIn is Open for a name below root. It returns an error for symlinks that lead out of root.
func OpenIn(root *os.Root, name string) (*os.File, error) {
	return open(name, root.Stat, func() (*os.File, error) { return root.OpenFile(name, os.O_RDONLY|nonblock, 0) })
}

// open checks the type twice: before opening, because opening a device can have an effect, and
// afterwards, because the name may refer to another file by then.
func open(name string, stat func(string) (fs.FileInfo, error), open func() (*os.File, error)) (*os.File, error) {
	info, err := stat(name)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			path.Op = "open" // the operation from the caller's point of view
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

// Read returns the contents of a regular file. It returns a *TooLargeError if the file has more than
// limit bytes.
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

// readAll reads and closes a file.
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

// ReadNamed is Read for a file that the user names on the command line. It also reads the descriptor
// below /dev/fd that a shell passes for <(command), and treats the null device as an empty file. It
// returns when ctx is done.
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

// isDescriptor reports whether name refers to an open descriptor of this process, which its parent
// has opened.
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

// WithContext returns the result of read, or the cause of ctx if that is done first. In that case
// read continues in a goroutine, and its result is discarded.
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
