package cmd

import (
	"errors"
	"path/filepath"
)

// stateFile is a file of the user's state directory, for data that is kept between runs
// and must not be read from a source.
func (a *App) stateFile(parts ...string) (string, error) {
	dir := a.env("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) {
		if a.Home == "" {
			return "", errors.New("there is no home directory to remember it in; set XDG_STATE_HOME")
		}
		dir = filepath.Join(a.Home, ".local", "state")
	}
	return filepath.Join(append([]string{dir, "buildlocal"}, parts...)...), nil
}
