package cmd

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

	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/internal/trust"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/source"
)

// builds reports whether a command reads the source as a build does.
func (f *runFlags) builds() bool {
	_, has := f.origins["source-mode"]
	return has || f.origins == nil // which is trust, and shows all of it
}

// checkTrust refuses files of the source that reach the user, unless the user has
// trusted exactly these files. Only what the command uses counts.
func (f *runFlags) checkTrust(a *App, c *cobra.Command) error {
	for _, value := range f.secondary { // each is trusted for itself
		_, dir := config.CutID(value)
		s := &subject{dir: (&runFlags{source: dir}).sourceDir(), files: map[string]string{}}
		s.addGit(dir, true)
		if trusted, err := a.trusts(s); err != nil || len(s.claims) > 0 && !trusted {
			return errors.Join(err, &untrusted{file: s.claims[0].File, table: a.claimTable(s.claims), dir: dir, command: c.CommandPath()})
		}
	}
	s := newSubject(c.Context(), f, func(name string) bool { return f.fromSource(name) })
	f.texts = s.texts
	if len(s.claims) == 0 {
		return nil
	}
	var err error
	if f.trusted, err = a.trusts(s); err != nil || f.trusted {
		return err
	}
	refused := &untrusted{file: s.claims[0].File, table: a.claimTable(s.claims), dir: f.source, command: c.CommandPath()}
	if f.file != nil && slices.ContainsFunc(s.claims, func(c config.Claim) bool { return !c.Git }) {
		refused.file, refused.config, refused.harmless = f.file.Name, true, s.harmless(f)
	}
	return refused
}

// agreed reports whether the user agreed to all that is claimed: a path can lead
// elsewhere although the file that names it is the same.
func (s *subject) agreed(r trust.Record) bool {
	return !slices.ContainsFunc(s.lines(), func(line string) bool { return !slices.Contains(r.Allows, line) })
}

// trusts reports whether the user trusts a source with exactly these files.
func (a *App) trusts(s *subject) (bool, error) {
	if len(s.claims) == 0 {
		return false, nil
	}
	record, found, err := a.trustStore().Find(s.dir)
	if err != nil {
		return false, fmt.Errorf("read which sources you trust: %w", err)
	}
	return found && record.Covers(s.files) && s.agreed(record), nil
}

// trustStore is where the user's trust is kept.
func (a *App) trustStore() *trust.Store {
	dir := a.configDir()
	if dir != "" {
		dir = filepath.Join(dir, "trust")
	}
	return trust.Open(dir)
}

// subject is the files of a source that the user can trust, and what they reach.
type subject struct {
	dir    string            // absolute, without links
	files  map[string]string // name below dir to SHA-256
	texts  map[string][]byte // contents, by the path that the setting resolves to
	claims []config.Claim
}

// newSubject reads what the file beside the source claims with its settings for
// which used holds, by itself and through the files that it names.
func newSubject(ctx context.Context, f *runFlags, used func(name string) bool) *subject {
	s := &subject{dir: f.sourceDir(), files: map[string]string{}, texts: map[string][]byte{}}
	from := config.Source{Dir: f.source, Ignored: func(path string) bool {
		state, err := source.StateOf(ctx, path)
		return err != nil || state == source.IgnoredFile
	}}
	s.addConfig(from, f, used)
	s.addGit(f.source, f.builds())
	slices.SortStableFunc(s.claims, func(a, b config.Claim) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return s
}

// addConfig notes the file beside the source, and the files that it names with what they
// claim.
func (s *subject) addConfig(from config.Source, f *runFlags, used func(name string) bool) {
	if f.file == nil {
		return
	}
	s.add(from, configFile)
	for _, name := range f.file.Names() {
		if used(name) {
			s.claims = append(s.claims, from.Claims(f.file, name)...)
		}
	}
	for _, name := range []string{"env-file", "project"} {
		e, _ := f.file.Get(name)
		for _, v := range e.Values {
			shown := beside{dir: f.source}.path(v.Text)
			text := s.add(from, v.Text)
			if text == nil { // it is outside the source, and the user's
				text, _ = regular.Read(shown, maxDocument)
			}
			if text == nil || !used(name) {
				continue
			}
			s.texts[shown] = text
			if name == "env-file" {
				s.claims = append(s.claims, envClaims(shown, text)...)
			} else {
				s.claims = append(s.claims, projectClaims(from, shown, text)...)
			}
		}
	}
}

// addGit notes the files of git's that lead out of a source directory, and claims them
// for a command that builds it. A clone has none that git did not make.
func (s *subject) addGit(dir string, builds bool) {
	for _, lead := range source.Leads(dir) {
		s.files[fmt.Sprintf("%s:%d", filepath.ToSlash(lead.File), lead.Line)] = trust.Sum([]byte(lead.Text))
		if builds {
			s.claims = append(s.claims, config.Claim{
				Effect: "let the build reach git files outside the source", Setting: lead.Text,
				File: shownPath(lead.File), Line: lead.Line, Git: true, Rank: config.User,
			})
		}
	}
}

// add notes the contents of a file below the source, and returns them; nil where
// there is nothing to note.
func (s *subject) add(from config.Source, name string) []byte {
	below, err := from.Below(name)
	if err != nil {
		return nil
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil
	}
	defer root.Close()
	const maxNamed = 1 << 20 // of a project document and of an environment file
	text, err := regular.ReadIn(root, below, maxNamed)
	if err != nil {
		return nil
	}
	s.files[filepath.ToSlash(below)] = trust.Sum(text)
	return text
}

// harmless returns the settings of the file that the command uses and that make no
// claim.
func (s *subject) harmless(f *runFlags) []string {
	return slices.DeleteFunc(f.file.Names(), func(name string) bool {
		return !f.fromSource(name) || slices.ContainsFunc(s.claims, func(c config.Claim) bool {
			return c.File == f.file.Name && strings.HasPrefix(c.Setting, name+": ")
		})
	})
}

// lines returns the claims as the user agrees to them.
func (s *subject) lines() []string {
	all := make([]string, len(s.claims))
	for i, c := range s.claims {
		all[i] = c.Agreed()
	}
	return all
}

// envClaims returns what an environment file copies from the user's environment.
func envClaims(file string, text []byte) []config.Claim {
	var names []string
	variables, _ := project.ParseEnvFile(file, text, func(name string) (string, bool) {
		names = append(names, name)
		return "", true
	})
	var all []config.Claim
	for _, name := range names {
		c := config.Claim{Effect: "read your variable " + name, Setting: name, File: file, Rank: config.Variable}
		if i := slices.IndexFunc(variables, func(v project.Variable) bool { return v.Name == name }); i >= 0 {
			c.Line, c.Column = variables[i].Line, 1
		}
		all = append(all, c)
	}
	return all
}

// projectClaims returns what a project document reaches beyond the build: each of its
// projects, for a flag may choose another one.
func projectClaims(from config.Source, file string, text []byte) []config.Claim {
	var all []config.Claim
	for _, name := range append(project.Names(text), "") {
		p, problems := project.Parse(file, text, name)
		if problems.Failed() {
			continue // reading it for the build reports them
		}
		for _, c := range claimsOf(from, file, text, p) {
			if !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	return all
}

func claimsOf(from config.Source, file string, text []byte, p project.Project) []config.Claim {
	var all []config.Claim
	claim := func(c config.Claim, key, value string) {
		c.Setting, c.File = key+": "+value, file
		c.Line, c.Column = placeOf(text, key)
		all = append(all, c)
	}
	if p.Environment.Privileged {
		claim(config.Claim{Effect: "run in privileged mode", Rank: config.User}, "privilegedMode", "true")
	}
	if ns := p.Cache.Namespace; ns != "" {
		claim(config.Claim{Effect: "share a cache namespace with your other projects", Rank: config.User}, "cacheNamespace", ns)
	}
	if c, reaches := from.Claim("buildspec", p.Source.Buildspec); reaches {
		claim(c, "buildspec", p.Source.Buildspec)
	}
	if c, reaches := from.Claim("image", p.Environment.Image); reaches {
		claim(c, "image", p.Environment.Image)
	}
	return all
}

// placeOf returns the line and the column of the first place of a key, whose first
// letter may be a capital one; 0 where it is not found.
func placeOf(text []byte, key string) (line, column int) {
	line = 0
	for l := range strings.Lines(string(text)) {
		line++
		if i := strings.Index(strings.ToLower(l), strings.ToLower(key)); i >= 0 {
			return line, 1 + len([]rune(l[:i]))
		}
	}
	return 0, 0
}
