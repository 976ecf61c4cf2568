package cmd

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/internal/trust"
	"github.com/buildlocal/buildlocal/source"
)

func newTrust(a *App) *cobra.Command {
	yes := false
	c := &cobra.Command{
		Use:   "trust [DIR]",
		Short: "Allow a source's " + configFile + " to reach this machine",
		Long: "Show what the " + configFile + " of a source would let its builds do beyond the build\n" +
			"itself, and remember your yes: for this directory, and for the contents that the\n" +
			"file and the files it names have now. A changed file has to be trusted again.\n\n" +
			"Exit codes: 0 trusted, or there is nothing to trust; 1 you said no; 2 there is no\n" +
			"terminal to ask on, and no --yes; 3 the file cannot be read.",
		Example: "  buildlocal trust\n  buildlocal trust ../service\n  buildlocal trust --yes",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("%s takes one directory, and found %q", c.CommandPath(), args)
			}
			return nil
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.trust(c.Context(), cmp.Or(append(args, "")[0], "."), yes)
	}
	c.AddCommand(newTrustLs(a), newTrustRm(a))
	return c
}

// trust shows what a source's file reaches, asks, and remembers the answer.
func (a *App) trust(ctx context.Context, dir string, yes bool) error {
	s, f, err := a.subjectOf(ctx, dir)
	if err != nil {
		return err
	}
	name := configFile
	if f.file != nil {
		name = f.file.Name
	}
	if len(s.claims) == 0 {
		fmt.Fprintf(a.Stdout, "%s needs no trust: it changes only the build\n", name)
		return nil
	}
	known, found, err := a.trustStore().Find(s.dir)
	if err != nil {
		return err
	}
	if found && known.Covers(s.files) && s.agreed(known) {
		fmt.Fprintf(a.Stdout, "%s is trusted already; buildlocal trust ls lists it\n", name)
		return nil
	}
	a.showSubject(ctx, s, f, known.Allows)
	if !yes {
		question := "Trust this file? You are asked again when it changes. [y/N] "
		if n := len(s.files); n > 1 {
			question = fmt.Sprintf("Trust these %d files (%s)? You are asked again when one changes. [y/N] ", n, visible(strings.Join(slices.Sorted(maps.Keys(s.files)), ", ")))
		}
		if err := a.confirm(ctx, question); err != nil {
			return err
		}
	}
	record := trust.Record{Directory: s.dir, Trusted: a.Now().UTC().Truncate(time.Second), Files: s.files, Allows: s.lines()}
	if err := a.trustStore().Add(record); err != nil {
		return fmt.Errorf("remember your trust: %w", err)
	}
	fmt.Fprintln(a.Stdout, "trusted; buildlocal trust ls lists it, buildlocal trust rm revokes it")
	return nil
}

// subjectOf reads the file of a source directory with all that it claims.
func (a *App) subjectOf(ctx context.Context, dir string) (*subject, *runFlags, error) {
	f := &runFlags{source: dir}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, nil, usagef("%s is not a directory", dir)
	}
	var err error
	if f.file, err = readSourceConfig(dir, fileKeys(allRunFlags(&runFlags{}))); err != nil {
		return nil, nil, err
	}
	f.source = dir
	s := newSubject(ctx, f, func(string) bool { return true })
	if f.file == nil && len(s.claims) == 0 {
		return nil, nil, usagef("there is no %s in %s", configFile, dir)
	}
	return s, f, nil
}

// showSubject prints the file with who changed it last, and what it would do; for a
// file that was trusted before, only what is new.
func (a *App) showSubject(ctx context.Context, s *subject, f *runFlags, allowed []string) {
	file := filepath.Join(s.dir, configFile)
	if f.file == nil {
		file = filepath.Join(s.dir, ".git")
	}
	heading := a.tilde(file)
	if last := source.LastChange(ctx, file); f.file != nil && last != nil {
		heading += fmt.Sprintf(", by its git last changed in %s by %s, %s", last.Commit, cutMiddle(last.Author, maxAuthor), ago(a.Now().Sub(last.Time)))
	}
	fmt.Fprintln(a.Stdout, visible(heading))
	lines := s.lines()
	if len(allowed) > 0 {
		var added []config.Claim
		for i, c := range s.claims {
			if !slices.Contains(allowed, lines[i]) {
				added = append(added, c)
			}
		}
		a.showChange(added, slices.DeleteFunc(slices.Clone(allowed), func(l string) bool { return slices.Contains(lines, l) }))
		return
	}
	fmt.Fprint(a.Stdout, "would let builds of this source\n", a.claimTable(s.claims))
}

// showChange prints what a file claims now and did not when it was trusted, and the
// other way round.
func (a *App) showChange(added []config.Claim, gone []string) {
	fmt.Fprintln(a.Stdout, "has changed since you trusted it")
	if len(gone) > 0 {
		fmt.Fprintln(a.Stdout, "would no longer let builds of this source")
		for _, line := range gone[:min(len(gone), maxAlike)] {
			fmt.Fprintln(a.Stdout, "  -", strings.ReplaceAll(visible(cutMiddle(line, maxTargetShown)), `\n`, ": "))
		}
	}
	if len(added) > 0 {
		fmt.Fprint(a.Stdout, "would now also let builds of this source\n", a.claimTable(added))
	}
	if len(added)+len(gone) == 0 {
		fmt.Fprintln(a.Stdout, "and would let builds of this source do the same as before")
	}
}

// maxAuthor is how many characters of the name of a commit's author are shown.
const maxAuthor = 40

// tilde shortens a path below the user's home directory.
func (a *App) tilde(path string) string {
	if below, inside := relativeTo(a.Home, path); inside && a.Home != "" {
		return "~/" + below
	}
	return path
}

// confirm asks on the terminal. Anything but yes is a no.
func (a *App) confirm(ctx context.Context, question string) error {
	in, isFile := a.Stdin.(*os.File)
	if !isFile || !isatty.IsTerminal(in.Fd()) {
		return usagef("there is no terminal to ask on; read what is printed above, then give --yes")
	}
	flushInput(in) // input typed before the question is not an answer
	fmt.Fprint(a.Stdout, question)
	line, err := regular.WithContext(ctx, func() ([]byte, error) { return bufio.NewReader(in).ReadBytes('\n') })
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(string(line))) {
	case "y", "yes":
		return nil
	}
	fmt.Fprintln(a.Stdout, "not trusted")
	return errFailed{exitFailed}
}

func newTrustLs(a *App) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List the sources that you trust", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := a.trustStore().List()
			if err == nil && len(all) == 0 {
				fmt.Fprintln(a.Stderr, "you trust no source")
				return nil
			}
			t := newTable(a.Stdout)
			t.row("SOURCE", "STATE", "TRUSTED", "ALLOWS")
			for _, r := range all {
				t.row(a.tilde(r.Directory), a.trustState(c.Context(), r), ago(a.Now().Sub(r.Trusted)), strings.Join(effects(r), " · "))
			}
			return errors.Join(err, t.flush())
		},
	}
}

// effects returns what a record allows, each once.
func effects(r trust.Record) []string {
	var all []string
	for _, line := range r.Allows {
		if effect, _, _ := strings.Cut(line, "\n"); !slices.Contains(all, effect) {
			all = append(all, effect)
		}
	}
	return all
}

// trustState says whether a record still holds.
func (a *App) trustState(ctx context.Context, r trust.Record) string {
	s := &subject{dir: r.Directory, files: map[string]string{}, texts: map[string][]byte{}}
	for name := range r.Files {
		s.add(config.Source{Dir: r.Directory}, name)
	}
	s.addGit(r.Directory, false)
	now, _, err := a.subjectOf(ctx, r.Directory)
	switch {
	case len(s.files) == 0:
		return "gone"
	case r.Covers(s.files) && err == nil && now.agreed(r):
		return "trusted"
	}
	return "changed"
}

func newTrustRm(a *App) *cobra.Command {
	return &cobra.Command{
		Use: "rm [DIR]", Short: "Trust a source no longer",
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := cmp.Or(append(args, "")[0], ".")
			f := &runFlags{source: dir}
			removed, err := a.trustStore().Remove(f.sourceDir())
			switch {
			case err != nil:
				return err
			case !removed:
				return usagef("%s was not trusted; buildlocal trust ls lists what is", dir)
			}
			fmt.Fprintf(a.Stdout, "%s is not trusted any more\n", a.tilde(f.sourceDir()))
			return nil
		},
	}
}
