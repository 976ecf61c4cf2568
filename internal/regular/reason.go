package regular

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/buildlocal/buildlocal/internal/human"
)

// Reason returns why a file could not be read, without its name, for a message that names
// it already.
func Reason(err error) string {
	var kind *Error
	var large *TooLargeError
	var path *fs.PathError
	switch {
	case errors.As(err, &kind):
		return "found " + kind.Kind() + "; expected a regular file"
	case errors.As(err, &large):
		return fmt.Sprintf("larger than %d bytes", large.Limit)
	case LeadsOut(err):
		return "a symbolic link that leads out of the source; expected a regular file"
	case errors.As(err, &path):
		return "cannot be read: " + strings.TrimPrefix(human.ErrorText(path), path.Path+": ")
	}
	return "cannot be read: " + human.ErrorText(err)
}

// LeadsOut reports whether a name in an os.Root leads out of it. The os package has no
// error value for that.
func LeadsOut(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && path.Err.Error() == "path escapes from parent"
}
