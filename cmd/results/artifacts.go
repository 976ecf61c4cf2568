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
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/local"
)

// commands are the commands of an app.
type commands struct{ *cli.App }

// NewArtifacts returns the command artifacts.
func NewArtifacts(app *cli.App) *cobra.Command {
	a := commands{app}
	f := &settings.Flags{}
	diff := false
	c := &cobra.Command{
		Use: "artifacts [BUILD]", Short: "List the artifacts of a build, or compare two builds",
		Long: "List the artifacts of build number BUILD, or of the latest build, with their sizes.\n" +
			"With --diff, list the files that the second build added (+), removed (-) and\n" +
			"changed (~), with the changed lines of small text files.",
		Annotations: cli.Notes("Exit codes: 0 success, 1 the builds differ (--diff), 2 no such build or usage error."),
		Example:     "  buildlocal artifacts\n  buildlocal artifacts 7\n  buildlocal artifacts --diff 6 7",
		Args:        func(c *cobra.Command, args []string) error { return artifactArgs(c, args, diff) },
	}
	c.Flags().SortFlags = false
	f.AddSome(c, "source", "output")
	c.Flags().BoolVar(&diff, "diff", false, "compare two builds")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.Settle(c.Context(), a.App, c); err != nil {
			return err
		}
		s, err := local.OpenBuilds(c.Context(), &f.Request)
		if err != nil {
			return err
		}
		if diff {
			return a.diffArtifacts(c.Context(), s, args[0], args[1])
		}
		return a.listArtifacts(s, append(args, "latest")[0])
	}
	return c
}

func artifactArgs(c *cobra.Command, args []string, diff bool) error {
	switch {
	case diff && len(args) != 2:
		return cli.Usagef("--diff takes two builds, and found %d; %s --help has an example", len(args), c.CommandPath())
	case !diff && len(args) > 1:
		return cli.Usagef("%s takes one build, and found %q; with --diff it compares two", c.CommandPath(), args)
	}
	return nil
}

// listArtifacts prints the artifacts of a build.
func (a commands) listArtifacts(s *builds.Store, name string) error {
	b, err := local.FindBuild(s, name)
	if err != nil {
		return err
	}
	m, err := artifacts.Read(b.Path)
	if err != nil {
		return err
	}
	if len(m.Artifacts) == 0 {
		_, err := fmt.Fprintf(a.Stdout, "Build %s has no artifacts.\n", b.Name)
		return err
	}
	for i, set := range m.Artifacts {
		if i > 0 {
			fmt.Fprintln(a.Stdout)
		}
		a.listSet(b.Path, set)
	}
	return nil
}

func (a commands) listSet(dir string, set artifacts.Set) {
	fmt.Fprintf(
		a.Stdout,
		"%s: %d in %s, %s\n",
		strings.TrimSpace("artifacts "+set.Identifier),
		len(set.Entries),
		local.ShownPath(filepath.Join(dir, filepath.FromSlash(set.Dir))),
		human.Bytes(set.Size()),
	)
	if set.Zip != "" {
		fmt.Fprintf(a.Stdout, "as a zip: %s\n", local.ShownPath(filepath.Join(dir, filepath.FromSlash(set.Zip))))
	}
	if set.Key != "" {
		fmt.Fprintf(a.Stdout, "CodeBuild would upload it to: %s\n", set.Key)
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', tabwriter.AlignRight)
	for _, e := range set.Entries {
		link := ""
		if e.Link != "" {
			link = " -> " + diag.EscapeLine(e.Link)
		}
		fmt.Fprintf(w, "%s\t%s\t  %s%s\n", e.Mode, human.Bytes(e.Size), diag.EscapeLine(e.Path), link)
	}
	_ = w.Flush()
}

// diffArtifacts prints how the artifacts of two builds differ.
func (a commands) diffArtifacts(ctx context.Context, s *builds.Store, before, after string) error {
	var dirs [2]string
	var all [2]artifacts.Manifest
	for i, name := range []string{before, after} {
		b, err := local.FindBuild(s, name)
		if err != nil {
			return err
		}
		dirs[i] = b.Path
		if all[i], err = artifacts.Read(dirs[i]); err != nil {
			return err
		}
	}
	changes := artifacts.Diff(all[0], all[1])
	for _, c := range changes {
		if err := context.Cause(ctx); err != nil {
			return err
		}
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
	return cli.ExitError{Code: cli.ExitFailed}
}

// changed describes the difference between two versions of a file.
func changed(before, after artifacts.Entry) string {
	var all []string
	if before.SHA256 != after.SHA256 || before.Link != after.Link {
		all = append(all, fmt.Sprintf("%s, was %s", human.Bytes(after.Size), human.Bytes(before.Size)))
	}
	if before.Mode != after.Mode {
		all = append(all, fmt.Sprintf("mode %s, was %s", after.Mode, before.Mode))
	}
	return strings.Join(all, "; ")
}

// maxDiffed is the largest file whose lines are compared, in bytes.
const maxDiffed = 64 << 10

// fileOf returns the text of a changed file, or "" for a large or binary one.
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
		text, err := io.ReadAll(io.LimitReader(f, maxDiffed+1))
		if err != nil || len(text) > maxDiffed || !utf8.Valid(text) || strings.ContainsRune(string(text), 0) {
			return ""
		}
		return string(text)
	}
	return ""
}

// lines returns the differences of two texts, indented. The header with their names is
// left out.
func lines(before, after string) string {
	if before == "" || after == "" || before == after {
		return ""
	}
	var b strings.Builder
	for line := range strings.Lines(udiff.Unified("before", "after", before, after)) {
		if !strings.HasPrefix(line, "--- ") && !strings.HasPrefix(line, "+++ ") {
			b.WriteString("    " + diag.EscapeLine(strings.TrimSuffix(line, "\n")) + "\n")
		}
	}
	return b.String()
}
