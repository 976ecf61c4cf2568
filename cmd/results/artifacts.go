// Package results has the commands that show the results of builds: artifacts and reports.
package results

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/help"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/local"
)

// ArtifactsOptions are the flags and arguments of artifacts.
type ArtifactsOptions struct {
	settings.Flags          // those of run that lead to the output directory
	Diff           bool     // compare two builds
	Builds         []string // names or numbers: two with Diff, else one
}

// NewArtifacts returns the command artifacts.
func NewArtifacts(a *cli.App, runF cli.RunF[ArtifactsOptions]) *cobra.Command {
	o := &ArtifactsOptions{}
	c := &cobra.Command{
		Use: "artifacts [BUILD]", Short: "List the artifacts of a build, or compare two builds",
		Long: "List the artifacts of build number BUILD, or of the latest build, with their sizes.\n" +
			"With --diff, list the files that the second build added (+), removed (-) and\n" +
			"changed (~), with the changed lines of small text files.",
		Annotations: help.Notes("Exit codes: 0 success, 1 the builds differ (--diff), 2 no such build or usage error."),
		Example:     "  buildlocal artifacts\n  buildlocal artifacts 7\n  buildlocal artifacts --diff 6 7",
		Args:        func(c *cobra.Command, args []string) error { return o.setBuilds(c, args) },
	}
	c.Flags().SortFlags = false
	o.AddSome(c, "source", "output")
	cli.ReadsOutput(c)
	c.Flags().StringVar(&o.Format, "format", "text", "print artifacts as `FORMAT`: text or json")
	o.SetFormats([]string{"text", "json"})
	c.Flags().BoolVar(&o.Diff, "diff", false, "compare two builds")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := o.Settle(c.Context(), a, c); err != nil {
			return err
		}
		return runF.Or(a, showArtifacts)(c.Context(), o)
	}
	return c
}

// setBuilds checks the arguments. Their number depends on a flag, so cobra's own checks do
// not suffice.
func (o *ArtifactsOptions) setBuilds(c *cobra.Command, args []string) error {
	switch {
	case o.Diff && len(args) != 2:
		return cli.Usagef("--diff requires two builds, got %d\n%s --help has an example", len(args), c.CommandPath())
	case !o.Diff && len(args) > 1:
		return cli.Usagef("%s takes one build, got %q\nWith --diff it compares two", c.CommandPath(), args)
	case len(args) == 0:
		args = []string{"latest"}
	}
	o.Builds = args
	return nil
}

// showArtifacts lists or compares artifacts. The output directory is that of --output, else of
// the source, as for the build that wrote it.
func showArtifacts(ctx context.Context, a *cli.App, o *ArtifactsOptions) error {
	s, err := local.OpenBuilds(ctx, &o.Request)
	if err != nil {
		return err
	}
	if o.Diff {
		return diffArtifacts(ctx, a, s, o)
	}
	return listArtifacts(a, s, o)
}

// listArtifacts prints the artifacts of a build from its manifest. It names the copies in
// the output directory, which stay as the build made them.
func listArtifacts(a *cli.App, s *builds.Store, o *ArtifactsOptions) error {
	b, err := local.FindBuild(s, o.Builds[0]) // its error lists the builds
	if err != nil {
		return err
	}
	m, err := artifacts.Read(b.Path)
	if err != nil {
		return err
	}
	if o.Format == cli.FormatJSON {
		return a.WriteJSON(artifacts.NewListing(b.Number, b.Name, b.Path, m))
	}
	// A build without artifacts is valid, and so is one that failed before UPLOAD_ARTIFACTS.
	if len(m.Artifacts) == 0 {
		_, err := fmt.Fprintf(a.Stdout, "build %d has no artifacts\n", b.Number)
		return err
	}
	for i, set := range m.Artifacts {
		if i > 0 {
			fmt.Fprintln(a.Stdout)
		}
		listSet(a, b.Path, set)
	}
	return nil
}

// listSet prints one set: the primary artifact, which has no identifier, or a secondary one.
func listSet(a *cli.App, dir string, set artifacts.Set) {
	fmt.Fprintf(
		a.Stdout,
		"%s: %d in %s, %s\n",
		strings.TrimSpace("artifacts "+set.Identifier),
		len(set.Entries),
		local.ShownPath(filepath.Join(dir, filepath.FromSlash(set.Dir))),
		human.Bytes(set.Size()),
	)
	if set.Zip != "" { // only builds with --zip, or a project with packaging ZIP
		fmt.Fprintf(a.Stdout, "as a zip: %s\n", local.ShownPath(filepath.Join(dir, filepath.FromSlash(set.Zip))))
	}
	// A local build uploads nothing. The key shows mistakes in path, name and namespace.
	if set.Key != "" {
		fmt.Fprintf(a.Stdout, "CodeBuild would upload it to: %s\n", set.Key)
	}
	// Not a cli.Table, whose columns are aligned to the left: sizes are compared by their digits.
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', tabwriter.AlignRight)
	for _, e := range set.Entries {
		// Names come from the build, and this table does not escape its cells.
		link := ""
		if e.Link != "" {
			link = " -> " + diag.EscapeLine(e.Link)
		}
		fmt.Fprintf(w, "%s\t%s\t  %s%s\n", e.Mode, human.Bytes(e.Size), diag.EscapeLine(e.Path), link)
	}
	_ = w.Flush()
}

// diffArtifacts prints how the artifacts of two builds differ, as diff does: nothing is
// printed for equal files, and a difference is exit code 1.
func diffArtifacts(ctx context.Context, a *cli.App, s *builds.Store, o *ArtifactsOptions) error {
	var dirs [2]string // before, after
	var all [2]artifacts.Manifest
	for i, name := range o.Builds {
		b, err := local.FindBuild(s, name)
		if err != nil {
			return err
		}
		dirs[i] = b.Path
		if all[i], err = artifacts.Read(dirs[i]); err != nil {
			return err
		}
	}
	// Compared by the manifests, so no file is read unless its hash has changed.
	changes := artifacts.Diff(all[0], all[1])
	if o.Format == cli.FormatJSON {
		if err := a.WriteJSON(artifacts.NewChangeList(changes)); err != nil || len(changes) == 0 {
			return err
		}
		return cli.ExitError{Code: cli.ExitFailed}
	}
	for _, c := range changes {
		if err := context.Cause(ctx); err != nil { // there may be many files to read
			return err
		}
		// Files of secondary artifacts have the identifier in front.
		name := diag.EscapeLine(strings.TrimPrefix(c.Identifier+"/"+c.Path, "/"))
		switch {
		case c.Before == nil:
			fmt.Fprintf(a.Stdout, "+ %s (%s)\n", name, human.Bytes(c.After.Size))
		case c.After == nil:
			fmt.Fprintf(a.Stdout, "- %s (%s)\n", name, human.Bytes(c.Before.Size))
		default:
			fmt.Fprintf(
				a.Stdout,
				"~ %s (%s)\n%s",
				name,
				changed(*c.Before, *c.After),
				lines(fileOf(dirs[0], all[0], c), fileOf(dirs[1], all[1], c)),
			)
		}
	}
	if len(changes) == 0 {
		_, err := fmt.Fprintln(a.Stdout, "no differences")
		return err
	}
	return cli.ExitError{Code: cli.ExitFailed} // as diff does
}

// changed describes the difference between two versions of a file: contents, or the target
// of a link, and the mode.
func changed(before, after artifacts.Entry) string {
	var all []string
	if before.SHA256 != after.SHA256 || before.Link != after.Link {
		all = append(all, fmt.Sprintf("%s, was %s", human.Bytes(after.Size), human.Bytes(before.Size)))
	}
	if before.Mode != after.Mode { // such as an executable bit that was lost
		all = append(all, fmt.Sprintf("mode %s, was %s", after.Mode, before.Mode))
	}
	return strings.Join(all, "; ")
}

// maxDiffed is the largest file whose lines are compared, in bytes.
// Longer ones are generated files, whose differences say little and scroll the list away.
const maxDiffed = 64 << 10

// fileOf returns the text of a changed file, or "" for one that is not shown: a large or
// binary file, a link, or one that was removed from the output directory since. Artifacts
// are made by builds, so they are opened below their directory only, and no link or pipe.
func fileOf(dir string, m artifacts.Manifest, c artifacts.Change) string {
	for _, set := range m.Artifacts {
		if set.Identifier != c.Identifier {
			continue
		}
		root, err := os.OpenRoot(filepath.Join(dir, filepath.FromSlash(set.Dir)))
		if err != nil {
			return ""
		}
		defer root.Close()
		f, err := regular.OpenIn(root, filepath.FromSlash(c.After.Name()))
		if err != nil {
			return ""
		}
		defer f.Close()
		// One byte more than the limit shows that the file is too large. A null byte is the usual
		// sign of a binary file, as for git and grep.
		text, err := io.ReadAll(io.LimitReader(f, maxDiffed+1))
		if err != nil || len(text) > maxDiffed || !utf8.Valid(text) || strings.ContainsRune(string(text), 0) {
			return ""
		}
		return string(text)
	}
	return ""
}

// lines returns the differences of two texts, indented, or "" if one of them is not shown.
// The header of the unified format is left out; the line above names the file.
func lines(before, after string) string {
	if before == "" || after == "" || before == after {
		return ""
	}
	// The lines come from the build, so each is escaped, after its mark in the first column.
	var b strings.Builder
	for line := range strings.Lines(udiff.Unified("before", "after", before, after)) {
		if !strings.HasPrefix(line, "--- ") && !strings.HasPrefix(line, "+++ ") {
			b.WriteString("    " + diag.EscapeLine(strings.TrimSuffix(line, "\n")) + "\n")
		}
	}
	return b.String()
}
