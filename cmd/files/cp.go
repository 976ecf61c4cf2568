// Package files has the commands for the files of a build that runs: cp, diff and sync.
package files

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/reach"
	"github.com/buildlocal/buildlocal/cmd/tty"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/treecopy"
	"github.com/buildlocal/buildlocal/local"
)

// CpOptions are the flags and arguments of cp.
type CpOptions struct {
	From, To place
	Yes      bool
}

// place is a path here or in a build.
type place struct {
	inBuild bool
	build   string // its name, or ""
	path    string // - for a tar stream
}

// stream is the path of a tar stream on the standard input or output.
const stream = "-"

// NewCp returns the command cp.
func NewCp(a *cli.App, runF cli.RunF[CpOptions]) *cobra.Command {
	o := &CpOptions{}
	c := &cobra.Command{
		Use: "cp SRC DST", Short: "Copy files to or from a build",
		Long: "Copy a file or a directory between this host and a build, or a container that was kept\n" +
			"with --keep. One of SRC and DST is BUILD:PATH, or :PATH for the default build; PATH is\n" +
			"relative to the source in the build. DST is a directory to copy into if it exists, else\n" +
			"the new name. The contents of a directory are copied with SRC/. as SRC. - is a tar\n" +
			"stream on the standard input or output.\n\n" +
			"Copied files belong to you here, and to root in the build.\n\n" + reach.Help,
		Example: "  buildlocal cp :target/app.jar .\n  buildlocal cp fixed.sh 12:scripts/\n" +
			"  buildlocal cp :/codebuild/output/tmp - | tar -t",
	}
	c.Flags().BoolVarP(&o.Yes, "yes", "y", false, "overwrite files of this host without a question")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) != 2 {
			return cli.Usagef("cp takes two paths, got %d\nbuildlocal cp SRC DST copies one to the other", len(args))
		}
		o.From, o.To = parsePlace(args[0]), parsePlace(args[1])
		if o.From.inBuild == o.To.inBuild {
			return cli.Usagef("one of SRC and DST must be a path in a build: BUILD:PATH, or :PATH")
		}
		if o.From.path == "" || o.To.path == "" {
			return cli.Usagef("%s: the path is missing", args[map[bool]int{true: 0}[o.From.path != ""]])
		}
		return runF.Or(a, cp)(c.Context(), o)
	}
	return c
}

// parsePlace parses an argument of cp. As in docker cp, a colon after a slash is part of a path.
func parsePlace(text string) place {
	name, rest, found := strings.Cut(text, ":")
	drive := runtime.GOOS == "windows" && len(name) == 1
	if !found || strings.ContainsAny(name, `/\.`) || drive {
		return place{path: text}
	}
	return place{inBuild: true, build: name, path: rest}
}

// cp copies in one of the directions.
func cp(ctx context.Context, a *cli.App, o *CpOptions) error {
	return reach.With(ctx, a, o.From.build+o.To.build, func(b *local.Reached) error {
		inBuild := &o.From.path
		if o.To.inBuild {
			inBuild = &o.To.path
		}
		if !path.IsAbs(*inBuild) {
			status, err := b.Status(ctx)
			if err != nil {
				return err
			}
			// The directory of a build that has ended is not known.
			if status.SourceDir == "" {
				return cli.Usagef("%s: must be absolute in a build that has ended", *inBuild)
			}
			*inBuild = joinPath(status.SourceDir, *inBuild)
		}
		if o.To.inBuild {
			return reach.Interrupted(ctx, o.copyIn(ctx, a, b))
		}
		return reach.Interrupted(ctx, o.copyOut(ctx, a, b))
	})
}

// joinPath joins two paths of a build, and keeps an end that means the contents of a directory.
func joinPath(dir, name string) string {
	full := path.Join(dir, name)
	if strings.HasSuffix(name, "/.") || strings.HasSuffix(name, "/") {
		full += name[strings.LastIndex(name, "/"):]
	}
	return full
}

// copyIn copies a file or directory of this host into the build.
func (o *CpOptions) copyIn(ctx context.Context, a *cli.App, b *local.Reached) error {
	if o.From.path == stream {
		return b.CopyIn(ctx, o.To.path, a.Stdin)
	}
	source := filepath.Clean(o.From.path)
	info, err := os.Stat(source)
	if err != nil {
		return cli.Usagef("%s", human.ErrorText(err))
	}
	kind, err := kindInBuild(ctx, b, o.To.path)
	if err != nil {
		return err
	}
	name := path.Base(path.Clean(o.To.path))
	dir := path.Dir(path.Clean(o.To.path))
	isDir := kind == tar.TypeDir
	switch {
	case isDir && contentsOf(o.From.path):
		dir, name = o.To.path, "."
	case isDir:
		absolute, err := filepath.Abs(source)
		if err != nil {
			return err
		}
		dir, name = o.To.path, filepath.Base(absolute)
	case kind != 0 && info.IsDir():
		return cli.Usagef("%s: not a directory in the build", o.To.path)
	case kind == 0 && strings.HasSuffix(o.To.path, "/") && !info.IsDir():
		return cli.Usagef("%s: no such directory in the build", o.To.path)
	}
	r, w := io.Pipe()
	defer r.Close()
	go func() { w.CloseWithError(treecopy.Pack(w, source, name)) }()
	return b.CopyIn(ctx, dir, r)
}

// contentsOf reports whether a path means the contents of a directory.
func contentsOf(name string) bool {
	slashed := filepath.ToSlash(name)
	return slashed == "." || strings.HasSuffix(slashed, "/.")
}

// kindInBuild returns the type of a file in the build, as that of a tar entry, or 0 if it does not
// exist.
func kindInBuild(ctx context.Context, b *local.Reached, name string) (kind byte, err error) {
	content, err := b.CopyOut(ctx, path.Clean(name))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer content.Close()
	h, err := tar.NewReader(content).Next()
	if err != nil {
		return 0, err
	}
	return h.Typeflag, nil
}

// copyOut copies a file or directory of the build to this host.
func (o *CpOptions) copyOut(ctx context.Context, a *cli.App, b *local.Reached) error {
	return o.receive(ctx, b, func(content io.Reader) error {
		if o.To.path == stream {
			_, err := io.Copy(a.Raw.Out, content)
			return err
		}
		c := &treecopy.Copy{
			Content: content, Name: path.Base(path.Clean(o.From.path)), Contents: contentsOf(o.From.path), To: o.To.path,
			Warnf: a.Warnf,
			Overwrite: func(existing []treecopy.Replaced) (bool, error) {
				if o.Yes {
					return true, nil
				}
				return confirm(ctx, a, existText(existing))
			},
		}
		return c.Run()
	})
}

// receive calls use with the tar stream of a path in the build.
func (o *CpOptions) receive(ctx context.Context, b *local.Reached, use func(io.Reader) error) error {
	content, err := b.CopyOut(ctx, path.Clean(o.From.path))
	if errors.Is(err, fs.ErrNotExist) {
		return cli.Usagef("%s: no such file or directory in the build", o.From.path)
	}
	if err != nil {
		return err
	}
	return errors.Join(use(content), content.Close())
}

// existText states that files exist, of which it names the first ones.
func existText(existing []treecopy.Replaced) string {
	const shown = 10
	var names []string
	for _, r := range existing[:min(shown, len(existing))] {
		names = append(names, local.ShownPath(r.File))
	}
	switch list := strings.Join(names, ", "); {
	case len(existing) == 1:
		return list + " exists"
	case len(existing) > shown:
		return fmt.Sprintf("%s and %d more files exist", list, len(existing)-shown)
	default:
		return list + " exist"
	}
}

// confirm asks on the terminal whether files may be overwritten, after a statement about them.
// Without a terminal it refuses.
func confirm(ctx context.Context, a *cli.App, statement string) (bool, error) {
	in, is := a.StdinTerminal()
	if !is {
		return false, cli.Usagef("%s\nuse --yes to overwrite without a question", statement)
	}
	return tty.Ask(ctx, a, in, statement+"; overwrite? [y/N] ")
}
