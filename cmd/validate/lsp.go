package validate

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/lint"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/lsp"
	"github.com/buildlocal/buildlocal/runtimes"
)

// NewLSP returns the command lsp.
func NewLSP(a *cli.App) *cobra.Command {
	f := &settings.Flags{}
	c := &cobra.Command{
		Use:   "lsp",
		Short: "Run a language server for buildspec files",
		Long: "Serve the Language Server Protocol on standard input and output: problems with\n" +
			"their fixes, documentation of keys, and completion of keys, phases, runtimes and\n" +
			"versions. docs/editors.md shows how to configure editors.",
		Example: "  buildlocal lsp\n  buildlocal lsp -i node:22 --project project.json",
		Args:    cli.NoArgs,
	}
	c.Flags().SortFlags = false
	f.AddSome(c, slices.DeleteFunc(settings.CheckSettings(), func(name string) bool {
		return name == "buildspec" || name == "source-root" // the editor names the files
	})...)
	// Editors pass --stdio by convention of the protocol's implementations.
	c.Flags().Bool("stdio", true, "communicate over standard input and output (the only transport)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := f.Settle(c.Context(), a, c); err != nil {
			return err
		}
		return serve(c.Context(), a, f)
	}
	return c
}

// serve runs the server until the editor ends it or closes the input. The project is read
// once: editors restart the server when its settings change.
func serve(ctx context.Context, a *cli.App, f *settings.Flags) error {
	p, _, err := f.ReadProject(ctx)
	if err != nil {
		return err
	}
	against, _, err := a.Against(ctx, &f.Request, &p)
	if err != nil {
		return f.Explain(err)
	}
	against.Inspect = true
	err = lsp.Serve(ctx, stdio{a.Stdin, a.Raw.Out}, a.Version, &editor{app: a, root: f.Source.Dir, against: against})
	// The exit notification without a shutdown request is exit code 1 (LSP 3.17, "Exit
	// Notification").
	if errors.Is(err, lsp.ErrNotShutDown) {
		return cli.ExitError{Code: cli.ExitFailed}
	}
	return err
}

// stdio is the standard input and output as one stream. The output is the raw one, because
// the protocol counts bytes.
type stdio struct {
	io.Reader
	io.Writer
}

// Close closes the input, which ends a pending read.
func (s stdio) Close() error {
	if c, ok := s.Reader.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// editor checks the files that an editor shows. It implements lsp.Checker.
type editor struct {
	app     *cli.App
	root    string // directory of the source
	against local.Against
	known   *lint.Input          // the runtimes of the image, looked up once
	ignored map[string]diag.List // the warning about files that git ignores; each was asked for once
}

// Check checks a file against its source. The file is "" for a text
// that was not saved yet. It is called after each change, so an image is only asked if the
// buildspec selects runtimes.
func (e *editor) Check(ctx context.Context, file string, text []byte) (*buildspec.Buildspec, diag.List) {
	spec, problems := buildspec.Parse(file, text)
	against := e.against
	if file != "" {
		against.Root = sourceOf(e.root, file)
	}
	if install, _ := spec.Phase("INSTALL"); len(install.Runtimes) > 0 {
		against.Known = e.offers(ctx)
	}
	return spec, append(e.warnIgnored(ctx, file), e.app.Check(ctx, spec, problems, against)...)
}

// warnIgnored asks git once for each file, and not after each change: a new pattern is noticed after
// a restart.
func (e *editor) warnIgnored(ctx context.Context, file string) diag.List {
	if file == "" || repositoryOf(file) == "" {
		return nil
	}
	found, asked := e.ignored[file]
	if !asked && ctx.Err() == nil {
		found = local.WarnIgnored(ctx, file)
		if e.ignored == nil {
			e.ignored = map[string]diag.List{}
		}
		e.ignored[file] = found
	}
	return slices.Clone(found)
}

// Runtimes returns the runtimes of the build's image, for completion and hover.
func (e *editor) Runtimes(ctx context.Context) runtimes.Table {
	return e.offers(ctx).Runtimes
}

// offers looks the runtimes up in the image once. The engine may be slow, and the user is
// typing. An image that is pulled later is noticed after a restart. The server calls one
// method at a time, so no lock is needed.
func (e *editor) offers(ctx context.Context) *lint.Input {
	if e.known == nil {
		e.known = &lint.Input{Image: e.against.Image}
		e.app.Offers(ctx, e.known, true)
	}
	return e.known
}
