// Package configure has the commands about configuration: config shows the values that a
// build would use, and trust decides about values that came with a source.
package configure

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

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/help"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/internal/trust"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/source"
)

// TrustOptions are the flags and arguments of trust and its subcommands.
type TrustOptions struct {
	Dir string // the source; "." by default
	Yes bool   // do not ask

	Format string // ls: text or json
}

// NewTrust returns the command trust.
func NewTrust(a *cli.App, runF cli.RunF[TrustOptions]) *cobra.Command {
	o := &TrustOptions{}
	do := func(work func(context.Context, *cli.App, *TrustOptions) error) func(*cobra.Command, []string) error {
		return func(c *cobra.Command, args []string) error {
			if err := cli.CheckFormat(o.Format); err != nil {
				return err
			}
			o.Dir = cmp.Or(append(args, "")[0], ".")
			return runF.Or(a, work)(c.Context(), o)
		}
	}
	c := &cobra.Command{
		Use:   "trust [DIR]",
		Short: "Allow a source's " + settings.File + " to reach this host",
		Long: "Show what the " + settings.File + " of a source would let its builds do beyond the build\n" +
			"itself, and remember your yes: for this directory, and for the contents that the\n" +
			"file and the files it names have now. A changed file has to be trusted again.",
		Annotations: help.Notes(
			"Exit codes: 0 trusted, or nothing to trust, 1 you said no, 2 usage error, or no",
			"terminal to ask on and no --yes, 3 the file cannot be read.",
		),
		Example: "  buildlocal trust\n  buildlocal trust ../service\n  buildlocal trust --yes",
		Args:    oneDir, RunE: do(trustSource),
	}
	c.Flags().BoolVarP(&o.Yes, "yes", "y", false, "do not ask")
	ls := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List the sources that you trust", Args: cli.NoArgs,
		RunE: do(listTrusted),
	}
	cli.AddFormat(ls, &o.Format)
	c.AddCommand(ls, &cobra.Command{
		Use: "rm [DIR]", Short: "Revoke trust in a source", Args: oneDir, RunE: do(revoke),
	})
	return c
}

// oneDir requires at most one argument.
func oneDir(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return cli.Usagef("%s takes one directory, got %q", c.CommandPath(), args)
	}
	return nil
}

// trustSource shows the claims of a source, asks the user, and stores the answer. The
// files are read once: the user agrees to the contents that were shown, even if another
// program changes the files while the question is on the screen.
func trustSource(ctx context.Context, a *cli.App, o *TrustOptions) error {
	s, name, err := subjectOf(ctx, o.Dir)
	if err != nil {
		return err
	}
	if len(s.Claims) == 0 { // a record would only be noise in trust ls
		fmt.Fprintf(a.Stdout, "%s needs no trust: it changes only the build\n", name)
		return nil
	}
	known, found, err := settings.TrustStore(a).Find(s.Dir)
	if err != nil {
		return err
	}
	// A record of other contents is not valid any more, but shows what was agreed to.
	if found && known.Covers(s.Files) && s.Agreed(known) {
		fmt.Fprintf(a.Stdout, "%s is trusted already; buildlocal trust ls lists it\n", name)
		return nil
	}
	showSubject(ctx, a, shown{s, name, known.Allows})
	if !o.Yes {
		question := "Trust this file? You are asked again when it changes. [y/N] "
		// The files that the configuration names are trusted with it, so the question lists them.
		if n := len(s.Files); n > 1 {
			question = fmt.Sprintf(
				"Trust these %d files (%s)? You are asked again when one changes. [y/N] ",
				n,
				settings.Visible(strings.Join(slices.Sorted(maps.Keys(s.Files)), ", ")),
			)
		}
		if err := confirm(ctx, a, question); err != nil {
			return err
		}
	}
	record := trust.Record{
		Directory: s.Dir,
		Trusted:   a.Now().UTC().Truncate(time.Second), // the record is JSON that people read
		Files:     s.Files,
		Allows:    s.Lines(),
	}
	// Builds compare the files and the claims with this record before they use the values.
	if err := settings.TrustStore(a).Add(record); err != nil {
		return fmt.Errorf("remember your trust: %w", err)
	}
	fmt.Fprintln(a.Stdout, "trusted; buildlocal trust ls lists it, buildlocal trust rm revokes it")
	return nil
}

// subjectOf returns the claims of a source directory, and the name of its configuration
// file or "". A source without the file may have claims by its git files.
func subjectOf(ctx context.Context, dir string) (*settings.Subject, string, error) {
	// Without this, a misspelt directory would be one without a configuration file.
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, "", cli.Usagef("%s is not a directory", dir)
	}
	s, name, err := settings.ReadSubject(ctx, dir)
	if err == nil && name == "" && len(s.Claims) == 0 {
		err = cli.Usagef("there is no %s in %s", settings.File, dir)
	}
	return s, name, err
}

// shown is a source that the user decides about.
type shown struct {
	*settings.Subject
	name    string   // of the configuration file, or ""
	allowed []string // the claims that the user agreed to before; nil for a new source
}

// showSubject prints the file with its last change, and its claims. For a file that was
// trusted before, it prints the difference: people agree to a long list again without
// reading it.
func showSubject(ctx context.Context, a *cli.App, s shown) {
	file := filepath.Join(s.Dir, settings.File) // absolute: the user may have named "."
	if s.name == "" {
		file = filepath.Join(s.Dir, ".git")
	}
	heading := a.Tilde(file)
	// The author is what the source's git says, and so whatever a stranger wrote there.
	if last := source.LastChange(ctx, file); s.name != "" && last != nil {
		heading += fmt.Sprintf(
			", by its git last changed in %s by %s, %s",
			last.Commit,
			human.CutMiddle(last.Author, maxAuthor),
			human.Ago(a.Now().Sub(last.Time)),
		)
	}
	fmt.Fprintln(a.Stdout, settings.Visible(heading))
	lines := s.Lines()
	if len(s.allowed) > 0 {
		var added []config.Claim
		for i, c := range s.Claims {
			if !slices.Contains(s.allowed, lines[i]) {
				added = append(added, c)
			}
		}
		gone := slices.DeleteFunc(slices.Clone(s.allowed), func(l string) bool { return slices.Contains(lines, l) })
		showChange(a, added, gone)
		return
	}
	fmt.Fprint(a.Stdout, "would let builds of this source\n", settings.ClaimTable(a, s.Claims))
}

// showChange prints the claims that were added and removed since a file was trusted. Only
// the text of a removed claim is known, with its effect and setting on two lines.
func showChange(a *cli.App, added []config.Claim, gone []string) {
	fmt.Fprintln(a.Stdout, "has changed since you trusted it")
	if len(gone) > 0 {
		fmt.Fprintln(a.Stdout, "would no longer let builds of this source")
		// Long lists are cut, as in the table of claims.
		for _, line := range gone[:min(len(gone), settings.MaxAlike)] {
			fmt.Fprintln(
				a.Stdout,
				"  -",
				strings.ReplaceAll(settings.Visible(human.CutMiddle(line, settings.MaxTarget)), `\n`, ": "),
			)
		}
	}
	if len(added) > 0 {
		fmt.Fprint(a.Stdout, "would now also let builds of this source\n", settings.ClaimTable(a, added))
	}
	// As if only a comment changed. The user still decides, because a file is trusted whole.
	if len(added)+len(gone) == 0 {
		fmt.Fprintln(a.Stdout, "and would let builds of this source do the same as before")
	}
}

// maxAuthor is the number of characters of an author's name that are shown.
// Git allows authors of any length.
const maxAuthor = 40

// confirm asks on the terminal. Any answer except yes is a no, and so is the end of the
// input. A pipe cannot answer: "yes | buildlocal trust" in a script would agree unseen.
func confirm(ctx context.Context, a *cli.App, question string) error {
	in, isTerminal := a.StdinTerminal()
	if !isTerminal {
		return cli.Usagef("no terminal to ask on\nReview the claims printed above, then use --yes")
	}
	// Keys that were pressed before the question, for example while a build ran in the same
	// terminal, are not an answer.
	flushInput(in)
	fmt.Fprint(a.Stdout, question)
	line, err := regular.WithContext(ctx, func() ([]byte, error) { return bufio.NewReader(in).ReadBytes('\n') })
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(string(line))) {
	case "y", "yes":
		return nil
	}
	// An earlier record is kept: it covers other contents, which git may restore.
	fmt.Fprintln(a.Stdout, "not trusted")
	return cli.ExitError{Code: cli.ExitFailed}
}

// trustedSource is a trusted source as it is listed, in text and in JSON.
type trustedSource struct {
	Directory string    `json:"directory"`
	State     string    `json:"state"` // trusted, changed or gone
	Trusted   time.Time `json:"trustedTime"`
	Allows    []string  `json:"allows"`
}

// listTrusted lists the trusted sources, and whether each record still applies.
func listTrusted(ctx context.Context, a *cli.App, o *TrustOptions) error {
	records, err := settings.TrustStore(a).List()
	all := []trustedSource{}
	for _, r := range records {
		all = append(all, trustedSource{r.Directory, trustState(ctx, r), r.Trusted, append([]string{}, effects(r)...)})
	}
	if o.Format == cli.FormatJSON {
		return errors.Join(err, a.WriteJSON(map[string]any{"version": 1, "sources": all}))
	}
	screen := a.Screen()
	if err == nil && len(all) == 0 {
		screen.Printf("no sources are trusted")
		return screen.Err()
	}
	t := console.Table{Columns: []console.Column{
		{Title: "SOURCE", Fit: console.FitPath}, {Title: "STATE"}, {Title: "TRUSTED", Drop: 1},
		{Title: "ALLOWS", Fit: console.FitText},
	}}
	for _, s := range all {
		t.Add(console.Strong(a.Tilde(s.Directory)), console.Plain(s.State), console.Weak(human.When(s.Trusted, a.Now())),
			console.Plain(strings.Join(s.Allows, " · ")))
	}
	screen.Table(t)
	return errors.Join(err, screen.Err()) // with an error the readable records are listed
}

// effects returns the effects that a record allows, each once. A line of a record has the
// effect, a line break, and the setting.
func effects(r trust.Record) []string {
	var all []string
	for _, line := range r.Allows {
		if effect, _, _ := strings.Cut(line, "\n"); !slices.Contains(all, effect) {
			all = append(all, effect)
		}
	}
	return all
}

// trustState reports whether a record still applies to the files of its source: trusted;
// changed, so builds ask again; or gone, if the directory or its files were removed.
func trustState(ctx context.Context, r trust.Record) string {
	s := settings.Current(r)
	// Files may be the same and claims not: a path may lead elsewhere now.
	now, _, err := subjectOf(ctx, r.Directory)
	switch {
	case len(s.Files) == 0:
		return "gone"
	case r.Covers(s.Files) && err == nil && now.Agreed(r):
		return "trusted"
	}
	return "changed"
}

// revoke removes the record of a source. The directory need not exist any more.
func revoke(_ context.Context, a *cli.App, o *TrustOptions) error {
	full := local.RealDir(o.Dir) // records have paths without links
	removed, err := settings.TrustStore(a).Remove(full)
	switch {
	case err != nil:
		return err
	case !removed: // most likely the wrong directory
		return cli.Usagef("%s is not trusted\nbuildlocal trust ls lists trusted sources", o.Dir)
	}
	_, err = fmt.Fprintf(a.Stdout, "no longer trusted: %s\n", a.Tilde(full))
	return err
}
