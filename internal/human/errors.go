package human

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

// ErrorText returns the message of an error without the wrapping of Go: the call that failed
// is dropped or is an English verb, so "open x: no such file or directory" is "x: no such
// file". Everything else of the message stays.
func ErrorText(err error) string {
	text := err.Error()
	for _, wrapped := range systemErrors(err) {
		text = strings.Replace(text, wrapped.Error(), plainText(wrapped), 1)
	}
	return text
}

// systemErrors returns the outermost errors of the packages os and os/exec in an error.
func systemErrors(err error) []error {
	switch err := err.(type) {
	case *fs.PathError, *os.LinkError, *os.SyscallError, *exec.Error:
		return []error{err}
	case interface{ Unwrap() []error }:
		var all []error
		for _, part := range err.Unwrap() {
			all = append(all, systemErrors(part)...)
		}
		return all
	case interface{ Unwrap() error }:
		return systemErrors(err.Unwrap())
	}
	if err == fs.ErrNotExist {
		return []error{err}
	}
	return nil
}

// plainText returns the message of one of systemErrors.
func plainText(err error) string {
	switch err := err.(type) {
	case *fs.PathError:
		return action(err.Op) + err.Path + ": " + cause(err.Op, err.Err)
	case *os.LinkError:
		return action(err.Op) + err.Old + " to " + err.New + ": " + cause(err.Op, err.Err)
	case *os.SyscallError:
		return cause("", err.Err)
	case *exec.Error:
		if errors.Is(err, exec.ErrNotFound) {
			return err.Name + ": command not found"
		}
		return err.Name + ": " + ErrorText(err.Err)
	}
	return noFile
}

const noFile = "no such file"

// lookUps are the calls that only find or read a file. Messages have an operation of their own,
// or need none.
var lookUps = []string{
	"open", "openat", "stat", "statat", "lstat", "lstatat", "fstat", "read", "readat", "pread", "seek",
	"readlink", "readlinkat", "readdirent", "fdopendir", "getdents", "close",
}

// verbs are the English names of calls.
var verbs = map[string]string{
	"mkdir": "create directory", "mkdirat": "create directory", "mkdirtemp": "create directory", "createtemp": "create",
	"chdir": "enter", "unlinkat": "remove", "unlink": "remove", "rmdir": "remove", "removeall": "remove",
	"openfile": "open", "renameat": "rename", "linkat": "link", "symlinkat": "symlink",
	"fchmod": "chmod", "fchown": "chown",
	"CreateFile": "open", "GetFileAttributesEx": "open", // on Windows
}

// action returns the beginning of a message for a failed call, with a space behind it, or "".
func action(call string) string {
	if slices.Contains(lookUps, call) {
		return ""
	}
	if verb, known := verbs[call]; known {
		return verb + " "
	}
	return call + " "
}

// cause returns why a call failed. Only a look-up is known to have wanted the file itself; for
// other calls it may be a directory on the way to it.
func cause(call string, err error) string {
	code, isCode := err.(syscall.Errno)
	if err == fs.ErrNotExist || isCode && code.Is(fs.ErrNotExist) && slices.Contains(lookUps, call) {
		return noFile
	}
	return ErrorText(err)
}
