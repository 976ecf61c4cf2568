package cmd

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/lint"
	"github.com/buildlocal/buildlocal/lsp"
	"github.com/buildlocal/buildlocal/runtimes"
	"github.com/buildlocal/buildlocal/source"
)

func newLSP(a *App) *cobra.Command {
	f := &runFlags{}
	c := &cobra.Command{
		Use:   "lsp",
		Short: "Run a language server for buildspec files",
		Long: "Serve the Language Server Protocol on standard input and output: problems with\n" +
			"their fixes, documentation of keys, and completion of keys, phases, runtimes and\n" +
			"versions. docs/editors.md shows how to configure editors.",
		Example: "  buildlocal lsp\n  buildlocal lsp -i node:22 --project project.json",
		Args:    noArgs,
	}
	c.Flags().SortFlags = false
	addSomeRunFlags(c, f, "source", "image", "project", "project-name", "privileged", "ignore")
	c.Flags().Bool("stdio", true, "communicate over standard input and output (the only transport)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := f.settle(a, c); err != nil {
			return err
		}
		return a.lsp(c.Context(), f)
	}
	return c
}

func (a *App) lsp(ctx context.Context, f *runFlags) error {
	g := &found{source: &source.Source{Dir: f.source}}
	if err := g.readProject(ctx, a, f); err != nil {
		return err
	}
	e := &editor{app: a, flags: f, found: g}
	err := lsp.Serve(ctx, stdio{a.Stdin, a.raw.out}, a.Version, e)
	if errors.Is(err, lsp.ErrNotShutDown) {
		return errFailed{1} // as the protocol wants it
	}
	return err
}

// stdio is the standard input and output as one stream.
type stdio struct {
	io.Reader
	io.Writer
}

// Close closes the input, so that nobody waits for it any longer.
func (s stdio) Close() error {
	if c, ok := s.Reader.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// editor checks what an editor shows. See lsp.Checker.
type editor struct {
	app   *App
	flags *runFlags
	found *found
	known *lint.Input // what the image offers; asked for once
}

// Check checks a file against the repository it stands in.
func (e *editor) Check(ctx context.Context, file string, text []byte) (*buildspec.Buildspec, diag.List) {
	spec, problems := buildspec.Parse(file, text)
	in := e.against()
	if file != "" {
		in.root = repositoryOf(file)
	}
	if install, _ := spec.Phase("INSTALL"); len(install.Runtimes) > 0 {
		in.known = e.offers(ctx)
	}
	return spec, e.app.check(ctx, spec, problems, in)
}

func (e *editor) against() against {
	in := against{image: e.flags.image, privileged: e.flags.privileged, ignore: e.flags.ignore, peek: true}
	if e.flags.project != "" {
		in.project, in.projectFile = &e.found.project, e.flags.project
	}
	return in
}

// Runtimes returns what the image of the build offers.
func (e *editor) Runtimes(ctx context.Context) runtimes.Table {
	return e.offers(ctx).Runtimes
}

// offers asks the engine once: it may be slow, and somebody is typing.
func (e *editor) offers(ctx context.Context) *lint.Input {
	if e.known == nil {
		in := e.against()
		e.known = &lint.Input{Image: firstText(in.image, e.found.project.Environment.Image)}
		e.app.offers(ctx, e.known, in.peek)
	}
	return e.known
}
