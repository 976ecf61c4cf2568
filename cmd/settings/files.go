package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/local"
)

// originIn returns the origin of an entry of a configuration file.
func originIn(file *config.File, e config.Entry, kind local.Origin) origin {
	return origin{kind, fmt.Sprintf("%s:%d", file.Name, e.Line), file, e}
}

// isFromSource reports whether the value of a flag comes from the source's file.
func (f *Flags) isFromSource(name string) bool { return f.origins[name].kind == local.FromSource }

// userConfig returns the user's configuration file, or "" without a home directory.
func userConfig(a *cli.App) string {
	if dir := a.ConfigDir(); dir != "" {
		return filepath.Join(dir, "config.yml")
	}
	return ""
}

// readUserConfig reads the user's configuration file, if there is one. Its values may reach
// everything that the user can, so nothing in it needs trust, and it may be a link. Only this file
// can say that those of sources do not count.
func readUserConfig(name string) (*config.File, error) {
	if name == "" {
		return nil, nil
	}
	text, err := regular.Read(name, config.MaxSize)
	return parseConfig(name, text, err, "no-config")
}

// readSourceConfig reads the configuration file of a source, if there is one. A link that
// leads out of the source is an error: messages quote lines with mistakes, so a stranger's
// link to a private file would print its contents, for example into the log of a CI server.
func readSourceConfig(source string) (*config.File, error) {
	root, err := os.OpenRoot(source)
	if err != nil {
		return nil, nil // opening the source reports it
	}
	defer root.Close()
	text, err := regular.ReadIn(root, File, config.MaxSize)
	return parseConfig(filepath.Join(source, File), text, err)
}

// parseConfig parses a file of the settings of Keys and more, unless it does not exist. ENOTDIR
// is the same: the name of its directory is that of a file.
func parseConfig(name string, text []byte, err error, more ...string) (*config.File, error) {
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		return nil, nil
	case err != nil:
		return nil, diag.List{{File: name, Message: regular.Reason(err)}}
	}
	file, problems := config.Parse(name, text, append(Keys(), more...))
	return file, problems.Err()
}

// pathResolver makes the paths in a configuration file relative to its directory. Paths on
// the command line and in variables are relative to the working directory, as usual.
type pathResolver struct {
	dir  string // of the file
	home string // replaces ~; "" if ~ is not expanded
}

// resolve resolves the paths in the values of a setting.
func (p pathResolver) resolve(name string, values []string) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = p.value(name, v)
	}
	return all
}

// value resolves the paths in one value. A setting that is not listed has none, or one that
// is relative to the source anyway, such as buildspec.
func (p pathResolver) value(name, v string) string {
	switch name {
	case "env-file", "project", "output", "secrets", "ca-bundle", "exported-env", "cache":
		return p.path(v)
	case "secondary-source", "artifacts": // ID=DIR; artifacts also DIR alone
		if id, dir := config.CutID(v); id != "" {
			return id + "=" + p.path(dir)
		}
		return p.path(v)
	case "mount": // HOST:PATH[:ro]
		if at := strings.LastIndex(v, ":/"); at > 0 {
			return p.path(v[:at]) + v[at:]
		}
	case "image":
		return p.image(v)
	case "images": // NAME=IMAGE, with a * in NAME
		from, to, _ := strings.Cut(v, "=")
		return from + "=" + p.image(to)
	}
	return v
}

// path resolves one path. "-" is a standard stream, and a bucket is no path.
func (p pathResolver) path(v string) string {
	if rest, below := strings.CutPrefix(v, "~/"); below && p.home != "" {
		return filepath.Join(p.home, rest)
	}
	if v == "" || v == "-" || filepath.IsAbs(v) || local.IsS3(v) {
		return v
	}
	return filepath.Join(p.dir, v)
}

// image resolves the path of an oci: or tar: image. Other images are references.
func (p pathResolver) image(image string) string {
	kind, file, _ := strings.Cut(image, ":")
	if !local.IsLocalImage(image) {
		return image
	}
	return kind + ":" + p.path(file)
}
