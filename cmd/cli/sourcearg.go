package cli

import (
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/internal/human"
)

// SourceArg takes the argument of a command about a build, if there is one: a directory is the
// source, as with -C, and a file the buildspec, as with -b.
func SourceArg(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if len(args) > 1 {
		return Usagef("%s takes one directory or one buildspec, got %s\n%s --help lists the flags",
			c.CommandPath(), human.Series(args), c.CommandPath())
	}
	name := "buildspec"
	info, err := os.Stat(args[0])
	switch {
	case args[0] == "-":
	case errors.Is(err, fs.ErrNotExist):
		return Usagef("%s: no such file or directory\n%s takes the directory of a source or the path of a buildspec",
			args[0], c.CommandPath())
	case err != nil:
		return Usagef("%w", err)
	case info.IsDir():
		name = "source"
	}
	flag := c.Flags().Lookup(name)
	if flag.Changed {
		return Usagef("-%s %s and %s cannot be combined", flag.Shorthand, flag.Value, args[0])
	}
	return c.Flags().Set(name, args[0])
}

// IsDirArg reports whether the only argument is a directory.
func IsDirArg(args []string) bool {
	if len(args) != 1 {
		return false
	}
	info, err := os.Stat(args[0])
	return err == nil && info.IsDir()
}
