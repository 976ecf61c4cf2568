package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/regular"
)

// originKind says where the value of a flag comes from. A later kind wins.
type originKind int

const (
	fromDefault originKind = iota
	fromUser               // the user's configuration file
	fromSource             // the file beside the source, which may have come with it
	fromVariable
	fromFlag
)

// origin is where the value of a flag comes from.
type origin struct {
	kind  originKind
	text  string // for a person: flag, default, a variable's name or file:line
	file  *config.File
	entry config.Entry
}

func originIn(file *config.File, e config.Entry, kind originKind) origin {
	return origin{kind, fmt.Sprintf("%s:%d", file.Name, e.Line), file, e}
}

// fromSource reports whether a flag's value comes from the file beside the source.
func (f *runFlags) fromSource(name string) bool { return f.origins[name].kind == fromSource }

// configDir is the user's configuration directory; empty where there is none.
func (a *App) configDir() string {
	if dir := a.env("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "buildlocal")
	}
	if a.Home == "" {
		return ""
	}
	return filepath.Join(a.Home, ".config", "buildlocal")
}

// userConfig is the user's configuration file; empty where there is none.
func (a *App) userConfig() string {
	if dir := a.configDir(); dir != "" {
		return filepath.Join(dir, "config.yml")
	}
	return ""
}

// readUserConfig reads the user's configuration file, if there is one.
func readUserConfig(name string, known []string) (*config.File, error) {
	if name == "" {
		return nil, nil
	}
	text, err := regular.Read(name, config.MaxSize)
	return parseConfig(name, text, err, known)
}

// readSourceConfig reads the file beside the source, if there is one. A link that
// leads out of the source is an error: its first line would be shown in messages.
func readSourceConfig(source string, known []string) (*config.File, error) {
	root, err := os.OpenRoot(source)
	if err != nil {
		return nil, nil // opening the source reports it
	}
	defer root.Close()
	text, err := regular.ReadIn(root, configFile, config.MaxSize)
	return parseConfig(filepath.Join(source, configFile), text, err, known)
}

func parseConfig(name string, text []byte, err error, known []string) (*config.File, error) {
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		return nil, nil
	case err != nil:
		return nil, diag.List{{File: name, Message: unreadable(err)}}
	}
	file, problems := config.Parse(name, text, known)
	return file, problems.Err()
}

// unreadable says why a file that the message around it names cannot be read.
func unreadable(err error) string {
	var kind *regular.Error
	var large *regular.TooLargeError
	var path *fs.PathError
	switch {
	case errors.As(err, &kind):
		return "found " + kind.Kind() + "; expected a regular file"
	case errors.As(err, &large):
		return fmt.Sprintf("larger than %d bytes", large.Limit)
	case leadsOut(err):
		return "a symbolic link that leads out of the source; expected a regular file"
	case errors.As(err, &path):
		return "cannot be read: " + path.Err.Error()
	}
	return "cannot be read: " + err.Error()
}

// leadsOut reports whether a name below an os.Root leads out of it. The package has
// no error for that to compare with.
func leadsOut(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && path.Err.Error() == "path escapes from parent"
}

// fileKeys are the flags that the source's file can set, sorted.
func fileKeys(flags *pflag.FlagSet) []string {
	var keys []string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && f.Name != "source" && f.Name != "no-config" {
			keys = append(keys, f.Name)
		}
	})
	slices.Sort(keys)
	return keys
}

// beside resolves the paths of a configuration file.
type beside struct {
	dir  string // of the file
	home string // replaces ~; empty if ~ is not expanded
}

// resolve makes the paths in the values of a setting lead from the file.
func (b beside) resolve(name string, values []string) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = b.value(name, v)
	}
	return all
}

func (b beside) value(name, v string) string {
	switch name {
	case "env-file", "project", "output", "secrets", "ca-bundle", "exported-env", "cache":
		return b.path(v)
	case "secondary-source", "artifacts":
		if id, dir := config.CutID(v); id != "" {
			return id + "=" + b.path(dir)
		}
		return b.path(v)
	case "image":
		return b.image(v)
	case "images":
		from, to, _ := strings.Cut(v, "=")
		return from + "=" + b.image(to)
	}
	return v
}

func (b beside) path(v string) string {
	if rest, below := strings.CutPrefix(v, "~/"); below && b.home != "" {
		return filepath.Join(b.home, rest)
	}
	if v == "" || v == "-" || filepath.IsAbs(v) || isS3(v) {
		return v
	}
	return filepath.Join(b.dir, v)
}

func (b beside) image(image string) string {
	kind, file, _ := strings.Cut(image, ":")
	if !isLocalImage(image) {
		return image
	}
	return kind + ":" + b.path(file)
}
