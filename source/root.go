package source

import (
	"errors"
	"fmt"
	"path/filepath"
)

// RepositoryRoot is the value for Root that names the top of the repository.
const RepositoryRoot = "repository"

// Root returns the source of a build in a subdirectory of a repository. The value is
// RepositoryRoot for the top of the repository, or a path relative to dir, which leads to dir or a
// parent up to the top. The result is absolute and without symlinks. Errors are *Error.
//
// A repository is known by its .git, so the result is the same without git. Symlinks are resolved
// first: a link in a repository does not lead to another one.
func Root(dir, value string) (string, error) {
	dir, err := directory(dir)
	if err != nil {
		return "", err
	}
	top := gitPlace(dir)
	if top == "" {
		return "", &Error{dir + " is not in a git repository", "use -C to build another directory", nil}
	}
	if value == RepositoryRoot {
		return top, nil
	}
	path := value
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	hint := fmt.Sprintf("use %q, or a path that leads to a parent, up to %s", RepositoryRoot, top)
	root, err := directory(path)
	var known *Error
	switch {
	case errors.As(err, &known):
		return "", &Error{known.Problem, hint, err}
	case err != nil:
		return "", err
	case !isBelow(root, dir):
		return "", &Error{fmt.Sprintf("%q leads to %s, which does not contain %s", value, root, dir), hint, nil}
	case !isBelow(top, root):
		return "", &Error{fmt.Sprintf("%q leads out of the repository %s, to %s", value, top, root), hint, nil}
	}
	return root, nil
}

// isBelow reports whether a path is a directory or below it. Both are absolute.
func isBelow(dir, path string) bool {
	name, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(name)
}
