package settings

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/claims"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/internal/trust"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/source"
)

// builds reports whether a command reads the source as a build does. The command trust,
// which settles no flags, shows all that a build would read.
func (f *Flags) builds() bool {
	_, has := f.origins["source-mode"]
	return has || f.origins == nil
}

// checkTrust returns an error for files of the source that reach the user, unless the
// user has trusted exactly these files. Only settings that the command uses count. Each
// secondary source is trusted separately: it is usually another repository, and only its
// git files count, because its configuration file is not read.
func (f *Flags) checkTrust(ctx context.Context, a *cli.App, c *cobra.Command) error {
	for _, value := range f.Source.Secondary {
		_, dir := config.CutID(value)
		s := &Subject{Dir: local.RealDir(dir), Files: map[string]string{}}
		s.addGit(dir, true)
		if trusted, err := trusts(a, s); err != nil || len(s.Claims) > 0 && !trusted {
			refused := &untrusted{file: s.Claims[0].File, table: ClaimTable(a, s.Claims), dir: dir, command: c.CommandPath()}
			return errors.Join(err, refused)
		}
	}
	s := newSubject(ctx, f, func(name string) bool { return f.isFromSource(name) })
	// The build uses the texts that were checked. Read again, a file could be another one.
	f.Request.Texts = s.texts
	if len(s.Claims) == 0 {
		return nil
	}
	var err error
	if f.Request.Trusted, err = trusts(a, s); err != nil || f.Request.Trusted {
		return err
	}
	refused := &untrusted{
		file:    s.Claims[0].File,
		table:   ClaimTable(a, s.Claims),
		dir:     f.Source.Dir,
		command: c.CommandPath(),
	}
	// With --no-config the claims of git files would remain, so it is suggested only if others
	// are refused.
	if f.file != nil && slices.ContainsFunc(s.Claims, func(c config.Claim) bool { return !c.Git }) {
		refused.file, refused.config, refused.harmless = f.file.Name, true, s.harmless(f)
	}
	return refused
}

// Agreed reports whether the user agreed to all claims. A path can lead elsewhere although
// the file that names it is unchanged.
func (s *Subject) Agreed(r trust.Record) bool {
	return !slices.ContainsFunc(s.Lines(), func(line string) bool { return !slices.Contains(r.Allows, line) })
}

// trusts reports whether the user trusts a source with exactly these files.
func trusts(a *cli.App, s *Subject) (bool, error) {
	if len(s.Claims) == 0 {
		return false, nil
	}
	record, found, err := TrustStore(a).Find(s.Dir)
	if err != nil {
		return false, fmt.Errorf("read which sources you trust: %w", err)
	}
	return found && record.Covers(s.Files) && s.Agreed(record), nil
}

// TrustStore returns the store of the sources that the user trusts: a directory beside the
// user's configuration. Without a home directory nothing is trusted, and nothing can be.
func TrustStore(a *cli.App) *trust.Store {
	dir := a.ConfigDir()
	if dir != "" {
		dir = filepath.Join(dir, "trust")
	}
	return trust.Open(dir)
}

// Subject is the files of a source that the user can trust, and their claims: the ways in
// which they reach beyond the build.
type Subject struct {
	Dir    string            // absolute, without links
	Files  map[string]string // name below Dir to SHA-256
	Claims []config.Claim

	texts map[string][]byte // contents, by the path that the setting resolves to
}

// newSubject returns the claims of the source's configuration file, and of the files that it
// names. Only settings for which used returns true count.
func newSubject(ctx context.Context, f *Flags, used func(name string) bool) *Subject {
	s := &Subject{Dir: local.RealDir(f.Source.Dir), Files: map[string]string{}, texts: map[string][]byte{}}
	from := config.Source{Dir: f.Source.Dir, Ignored: func(path string) bool {
		state, err := source.StateOf(ctx, path)
		return err != nil || state == source.IgnoredFile
	}, Tracked: func() bool {
		state, err := source.StateOf(ctx, filepath.Join(f.Source.Dir, File))
		return err == nil && state == source.Tracked
	}}
	s.addConfig(from, f, used)
	s.addGit(f.Source.Dir, f.builds())
	// In the order of the files, so the same files always result in the same screen.
	slices.SortStableFunc(s.Claims, func(a, b config.Claim) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return s
}

// addConfig adds the configuration file, the files that it names, and their claims.
func (s *Subject) addConfig(from config.Source, f *Flags, used func(name string) bool) {
	if f.file == nil {
		return
	}
	s.add(from, File)
	for _, name := range f.file.Names() {
		if used(name) {
			s.Claims = append(s.Claims, from.Claims(f.file, name)...)
		}
	}
	// These two name files with settings of their own. Their contents are part of the trust
	// even if the command does not use them: the record is for all commands.
	for _, name := range []string{"env-file", "project"} {
		e, _ := f.file.Get(name)
		for _, v := range e.Values {
			shown := pathResolver{dir: f.Source.Dir}.path(v.Text)
			text := s.add(from, v.Text)
			if text == nil { // outside the source, so a file of the user
				text, _ = regular.Read(shown, maxNamed)
			}
			if text == nil || !used(name) {
				continue
			}
			s.texts[shown] = text
			if name == "env-file" {
				s.Claims = append(s.Claims, claims.EnvFile(shown, text)...)
			} else {
				s.Claims = append(s.Claims, claims.Project(from, shown, text)...)
			}
		}
	}
}

// addGit adds files below .git that lead out of the source, as claims of a command that
// builds it. A clone has only those that git itself creates.
func (s *Subject) addGit(dir string, builds bool) {
	for _, lead := range source.Leads(dir) {
		s.Files[fmt.Sprintf("%s:%d", filepath.ToSlash(lead.File), lead.Line)] = trust.Sum([]byte(lead.Text))
		if builds {
			s.Claims = append(s.Claims, config.Claim{
				Effect: "let the build reach git files outside the source", Setting: lead.Text,
				File: local.ShownPath(lead.File), Line: lead.Line, Git: true, Rank: config.User,
			})
		}
	}
}

// add adds a file below the source and returns its contents, or nil if it cannot be read.
// It is read below the source's directory, so no link leads out of it.
func (s *Subject) add(from config.Source, name string) []byte {
	below, err := from.Below(name)
	if err != nil {
		return nil
	}
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return nil
	}
	defer root.Close()
	text, err := regular.ReadIn(root, below, maxNamed)
	if err != nil {
		return nil
	}
	s.Files[filepath.ToSlash(below)] = trust.Sum(text)
	return text
}

// harmless returns the settings of the file that the command uses and that claim nothing.
// With --no-config they are lost too, so the screen names them.
func (s *Subject) harmless(f *Flags) []string {
	return slices.DeleteFunc(f.file.Names(), func(name string) bool {
		return !f.isFromSource(name) || slices.ContainsFunc(s.Claims, func(c config.Claim) bool {
			return c.File == f.file.Name && strings.HasPrefix(c.Setting, name+": ")
		})
	})
}

// Lines returns the claims in the form in which the user agrees to them.
func (s *Subject) Lines() []string {
	all := make([]string, len(s.Claims))
	for i, c := range s.Claims {
		all[i] = c.Agreed()
	}
	return all
}

// maxNamed is the largest project document and environment file whose claims are read, in
// bytes.
const maxNamed = 4 << 20

// ReadSubject returns everything that the configuration file of a source claims, and the
// file's name, or "" if there is no such file.
func ReadSubject(ctx context.Context, dir string) (*Subject, string, error) {
	f := &Flags{}
	f.Source.Dir = dir
	var err error
	if f.file, err = readSourceConfig(dir); err != nil {
		return nil, "", err
	}
	s := newSubject(ctx, f, func(string) bool { return true })
	if f.file == nil {
		return s, "", nil
	}
	return s, f.file.Name, nil
}

// Current returns the files of a trusted source as they are now, without claims, to compare
// them with the record.
func Current(r trust.Record) *Subject {
	s := &Subject{Dir: r.Directory, Files: map[string]string{}, texts: map[string][]byte{}}
	for name := range r.Files {
		s.add(config.Source{Dir: r.Directory}, name)
	}
	s.addGit(r.Directory, false)
	return s
}
