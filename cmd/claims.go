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
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/internal/trust"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/source"
)

// untrusted is the error for a file of the source that reaches the user, and that
// the user has not trusted. Its message is a whole screen.
type untrusted struct {
	file     string // as the user would type it
	config   bool   // it is the configuration file, which can be left out
	claims   []config.Claim
	harmless []string // the other settings of the file
	dir      string   // the source as the user named it
	command  string   // that was refused
}

func (e *untrusted) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "error: %s came with this source and is not trusted; nothing started\n", e.file)
	b.WriteString("  it would\n" + claimTable(e.claims))
	if len(e.harmless) > 0 {
		fmt.Fprintf(&b, "  it also sets %s, which %s no trust\n", series(e.harmless), plural(len(e.harmless), "needs", "need"))
	}
	dir := ""
	if e.dir != "." {
		dir = " " + shellWord(e.dir)
	}
	fmt.Fprintf(&b, "hint: to allow exactly this file: buildlocal trust%s", dir)
	if !e.config {
		return b.String()
	}
	verb := "go on"
	if strings.HasSuffix(e.command, " run") {
		verb = "build"
	}
	fmt.Fprintf(&b, "\nhint: to %s without it: %s --no-config", verb, e.command)
	return b.String()
}

// maxSettingShown is how many characters of a setting are shown, and maxClaimLine how
// wide a line of claims may be before each takes two lines.
const (
	maxSettingShown = 100
	maxClaimLine    = 80
)

// claimTable prints what a file would do: the effect, the setting and its place.
func claimTable(claims []config.Claim) string {
	rows := make([][3]string, len(claims))
	var widths [3]int
	for i, c := range claims {
		rows[i] = [3]string{diag.EscapeLine(c.Effect), cut(diag.EscapeLine(c.Setting), maxSettingShown), diag.EscapeLine(c.Place())}
		for j, cell := range rows[i] {
			widths[j] = max(widths[j], utf8.RuneCountInString(cell))
		}
	}
	const gaps = 8 // of a line with three columns
	var b strings.Builder
	for _, row := range rows {
		if widths[0]+widths[1]+widths[2]+gaps > maxClaimLine {
			fmt.Fprintf(&b, "  ! %s\n      %s: %s\n", row[0], row[2], row[1])
			continue
		}
		fmt.Fprintf(&b, "  ! %-*s  %-*s  %s\n", widths[0], row[0], widths[1], row[1], row[2])
	}
	return b.String()
}

func cut(text string, limit int) string {
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}

// series joins words as a sentence does.
func series(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// shellWord quotes a word for a shell where that is necessary.
func shellWord(word string) string {
	if word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

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
			return errors.Join(err, &untrusted{file: s.claims[0].File, claims: s.claims, dir: dir, command: c.CommandPath()})
		}
	}
	s := newSubject(c.Context(), f, func(name string) bool { return f.fromSource(name) })
	if len(s.claims) == 0 {
		return nil
	}
	var err error
	if f.trusted, err = a.trusts(s); err != nil || f.trusted {
		return err
	}
	refused := &untrusted{file: s.claims[0].File, claims: s.claims, dir: f.source, command: c.CommandPath()}
	if f.file != nil && slices.ContainsFunc(s.claims, func(c config.Claim) bool { return !c.Git }) {
		refused.file, refused.config, refused.harmless = f.file.Name, true, s.harmless(f)
	}
	return refused
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
	return found && record.Covers(s.files), nil
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
	claims []config.Claim
}

// newSubject reads what the file beside the source claims with its settings for
// which used holds, by itself and through the files that it names.
func newSubject(ctx context.Context, f *runFlags, used func(name string) bool) *subject {
	s := &subject{dir: f.sourceDir(), files: map[string]string{}}
	from := config.Source{Dir: f.source, Ignored: func(path string) bool {
		state, err := source.StateOf(ctx, path)
		return err != nil || state == source.IgnoredFile
	}}
	s.addConfig(from, f, used)
	s.addGit(f.source, f.builds())
	slices.SortStableFunc(s.claims, func(a, b config.Claim) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
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
			text := s.add(from, v.Text)
			if text == nil || !used(name) {
				continue
			}
			shown := filepath.Join(f.source, v.Text)
			if name == "env-file" {
				s.claims = append(s.claims, envClaims(shown, text)...)
			} else {
				s.claims = append(s.claims, projectClaims(from, shown, text, f.projectName)...)
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
				File: shownPath(lead.File), Line: lead.Line, Git: true,
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
		all[i] = c.Effect + " (" + c.Setting + ")"
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
		c := config.Claim{Effect: "read your variable " + name, Setting: name, File: file}
		if i := slices.IndexFunc(variables, func(v project.Variable) bool { return v.Name == name }); i >= 0 {
			c.Line, c.Column = variables[i].Line, 1
		}
		all = append(all, c)
	}
	return all
}

// projectClaims returns what a project document reaches beyond the build.
func projectClaims(from config.Source, file string, text []byte, name string) []config.Claim {
	p, problems := project.Parse(file, text, name)
	if problems.Failed() {
		return nil // reading it for the build reports them
	}
	claim := func(effect, key, value string) config.Claim {
		line, column := placeOf(text, key)
		return config.Claim{Effect: effect, Setting: key + ": " + value, File: file, Line: line, Column: column}
	}
	var all []config.Claim
	if p.Environment.Privileged {
		all = append(all, claim("run in privileged mode", "privilegedMode", "true"))
	}
	if ns := p.Cache.Namespace; ns != "" {
		all = append(all, claim("share the cache of your projects in the namespace "+ns, "cacheNamespace", ns))
	}
	if effect := from.Effect("buildspec", p.Source.Buildspec); effect != "" {
		all = append(all, claim(effect, "buildspec", p.Source.Buildspec))
	}
	if effect := from.Effect("image", p.Environment.Image); effect != "" {
		all = append(all, claim(effect, "image", p.Environment.Image))
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
