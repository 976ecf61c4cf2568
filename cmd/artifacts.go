package cmd

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"
	"github.com/gofrs/flock"
	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/runner"
)

func newArtifacts(a *App) *cobra.Command {
	f := &runFlags{}
	diff := false
	c := &cobra.Command{
		Use: "artifacts [BUILD]", Short: "List the artifacts of a build, or compare two builds",
		Long: "List the artifacts of build number BUILD, or of the latest build, with their sizes.\n" +
			"With --diff, list the files that the second build added (+), removed (-) and\n" +
			"changed (~), with the changed lines of small text files.",
		Annotations: notes("Exit codes: 0 success, 1 the builds differ (--diff), 2 no such build or usage error."),
		Example:     "  buildlocal artifacts\n  buildlocal artifacts 7\n  buildlocal artifacts --diff 6 7",
		Args:        func(c *cobra.Command, args []string) error { return artifactArgs(c, args, diff) },
	}
	c.Flags().SortFlags = false
	addSomeRunFlags(c, f, "source", "output")
	c.Flags().BoolVar(&diff, "diff", false, "compare two builds")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.settle(a, c); err != nil {
			return err
		}
		s, err := openStore(c.Context(), f)
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
		return usagef("--diff takes two builds, and found %d; %s --help has an example", len(args), c.CommandPath())
	case !diff && len(args) > 1:
		return usagef("%s takes one build, and found %q; with --diff it compares two", c.CommandPath(), args)
	}
	return nil
}

// outputDir is where builds leave what they leave.
func (f *runFlags) outputDir() string {
	if f.output != "" {
		return f.output
	}
	return filepath.Join(f.source, outputName)
}

// listArtifacts prints the artifacts of a build.
func (a *App) listArtifacts(s *builds.Store, name string) error {
	b, err := findBuild(s, name)
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

func (a *App) listSet(dir string, set artifacts.Set) {
	fmt.Fprintf(a.Stdout, "%s: %d in %s, %s\n", strings.TrimSpace("artifacts "+set.Identifier), len(set.Entries), shownPath(filepath.Join(dir, filepath.FromSlash(set.Dir))), console.Bytes(set.Size()))
	if set.Zip != "" {
		fmt.Fprintf(a.Stdout, "as a zip: %s\n", shownPath(filepath.Join(dir, filepath.FromSlash(set.Zip))))
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
		fmt.Fprintf(w, "%s\t%s\t  %s%s\n", e.Mode, console.Bytes(e.Size), diag.EscapeLine(e.Path), link)
	}
	_ = w.Flush()
}

// diffArtifacts prints how the artifacts of two builds differ.
func (a *App) diffArtifacts(ctx context.Context, s *builds.Store, before, after string) error {
	var dirs [2]string
	var all [2]artifacts.Manifest
	for i, name := range []string{before, after} {
		b, err := findBuild(s, name)
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
			fmt.Fprintf(a.Stdout, "+ %s (%s)\n", name, console.Bytes(c.After.Size))
		case c.After == nil:
			fmt.Fprintf(a.Stdout, "- %s (%s)\n", name, console.Bytes(c.Before.Size))
		default:
			fmt.Fprintf(a.Stdout, "~ %s (%s)\n%s", name, changed(*c.Before, *c.After), lines(fileOf(dirs[0], all[0], c), fileOf(dirs[1], all[1], c)))
		}
	}
	if len(changes) == 0 {
		_, err := fmt.Fprintln(a.Stdout, "The artifacts are the same.")
		return err
	}
	return errFailed{exitFailed}
}

// changed says in what a file differs.
func changed(before, after artifacts.Entry) string {
	var all []string
	if before.SHA256 != after.SHA256 || before.Link != after.Link {
		all = append(all, fmt.Sprintf("%s, was %s", console.Bytes(after.Size), console.Bytes(before.Size)))
	}
	if before.Mode != after.Mode {
		all = append(all, fmt.Sprintf("mode %s, was %s", after.Mode, before.Mode))
	}
	return strings.Join(all, "; ")
}

// smallText is how large a file may be whose lines are compared, in bytes.
const smallText = 64 << 10

// fileOf returns a changed file as text; nothing of one that is large, or no text.
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
		text, err := io.ReadAll(io.LimitReader(f, smallText+1))
		if err != nil || len(text) > smallText || !utf8.Valid(text) || strings.ContainsRune(string(text), 0) {
			return ""
		}
		return string(text)
	}
	return ""
}

// lines compares two texts, indented; their names stand above already.
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

// destination is where artifacts are put besides the build's own directory.
type destination struct{ identifier, dir string }

// destinations reads --artifacts; those it names have to be in the plan.
func (f *runFlags) destinations(plan *runner.Plan) ([]destination, error) {
	var all []destination
	var errs []error
	for _, text := range f.artifacts {
		var d destination
		d.identifier, d.dir = config.CutID(text)
		var known []string
		for identifier := range plan.Packages {
			if identifier != "" {
				known = append(known, identifier)
			}
		}
		slices.Sort(known)
		_, found := plan.Packages[d.identifier]
		switch {
		case slices.ContainsFunc(all, func(o destination) bool { return o.identifier == d.identifier }):
			errs = append(errs, f.wrong("artifacts", fmt.Sprintf("%q is a second directory for the same artifacts", text)))
		case f.inOutput(d.dir):
			errs = append(errs, f.wrong("artifacts", fmt.Sprintf("%q is the output directory or below it; choose another one", text)))
		case plan.Artifacts == nil:
			errs = append(errs, f.wrong("artifacts", fmt.Sprintf("%q: the buildspec has no artifacts", text)))
		case !found:
			errs = append(errs, f.wrong("artifacts", fmt.Sprintf("%q: the buildspec has no secondary artifacts %s%s (expected DIR, or ID=DIR with one of: %s)", text, d.identifier, diag.DidYouMean(d.identifier, known), strings.Join(known, ", "))))
		}
		all = append(all, d)
	}
	return all, joined(errs)
}

// inOutput reports whether a directory is the output directory, or below it, where
// everything is taken for buildlocal's own.
func (f *runFlags) inOutput(dir string) bool {
	target, err := realTarget(dir)
	if err != nil {
		return false
	}
	out, err := realTarget(f.outputDir())
	if err != nil {
		return false
	}
	_, inside := relativeTo(out, target)
	return inside || sameDir(out, target)
}

// putArtifacts puts what a build left where the user wants it. What was put there
// before is remembered in the user's state directory: a ledger in the output directory
// could have come with the source, and would say which files to remove.
func (a *App) putArtifacts(d *builds.Dir, all []destination) error {
	m, err := artifacts.Read(d.Path)
	if err != nil || len(all) == 0 {
		return err
	}
	var errs []error
	for _, to := range all {
		at := slices.IndexFunc(m.Artifacts, func(s artifacts.Set) bool { return s.Identifier == to.identifier })
		if at < 0 {
			continue // the build did not come so far, and has said so
		}
		from := firstText(m.Artifacts[at].Zip, m.Artifacts[at].Dir)
		full, err := realTarget(to.dir)
		if err != nil {
			return err
		}
		book, err := a.stateFile("placed", fmt.Sprintf("%x.json", sha256.Sum256([]byte(full))))
		if err == nil {
			err = a.putLocked(filepath.Join(d.Path, filepath.FromSlash(from)), full, book)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("put artifacts into %s: %w", to.dir, err))
		}
	}
	return errors.Join(errs...)
}

// realTarget is a directory that the user names, absolute, with its links resolved.
func realTarget(dir string) (string, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(full); err == nil {
		return real, nil
	}
	return full, nil
}

// putLocked puts artifacts into a directory as the only one of several builds. Each
// copyPace a line says how far a long copy is.
func (a *App) putLocked(from, dest, book string) error {
	if err := os.MkdirAll(filepath.Dir(book), 0o700); err != nil {
		return err
	}
	lock := flock.New(book+".lock", flock.SetFlag(os.O_CREATE|os.O_RDWR|regular.OpenFlags))
	if err := lock.Lock(); err != nil {
		return err
	}
	const copyPace = 10 * time.Second
	told := a.Now()
	return errors.Join(artifacts.Put(from, dest, book, func(files int, bytes int64) {
		if now := a.Now(); now.Sub(told) >= copyPace {
			told = now
			fmt.Fprintf(a.Stderr, "copying artifacts to %s: %s, %d files\n", shownPath(dest), console.Bytes(bytes), files)
		}
	}), lock.Unlock())
}
