package lint

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/tree"
)

var sourceChecks = []check{
	{diag.Check{Name: "unmatched-pattern", Severity: diag.Lint,
		Summary: "A path or pattern matches nothing in the source, but a similar name exists."},
		(*checker).unmatchedPatterns},
	{diag.Check{Name: "bracket-pattern", Severity: diag.Lint,
		Summary: "Brackets in a pattern are a character class, but a file with exactly this name exists."},
		(*checker).bracketPatterns},
	{diag.Check{Name: "negated-path", Severity: diag.Lint,
		Summary: "A cache path that begins with ! excludes nothing."}, (*checker).negatedPaths},
	{diag.Check{Name: diag.MissingFile, Severity: diag.Lint,
		Summary: "A command runs a file that is not in the source."}, (*checker).missingFiles},
	{diag.Check{Name: diag.NotExecutable, Severity: diag.Lint,
		Summary: "A command runs a file that is not executable."}, (*checker).notExecutable},
	{diag.Check{Name: diag.CRLFScript, Severity: diag.Lint,
		Summary: "A script with CRLF line endings does not run on Linux."}, (*checker).crlfScripts},
	{diag.Check{Name: "git-in-artifacts", Severity: diag.Lint,
		Summary: "The artifacts include the directory .git, which is large and can hold credentials."},
		(*checker).gitInArtifacts},
	{diag.Check{Name: "missing-buildspec", Severity: diag.Lint,
		Summary: "A build of the batch uses a buildspec that is not in the source."}, (*checker).missingBuildspecs},
}

// unmatchedPatterns checks the paths of artifacts, reports and the cache. The build creates
// most of these files, so a path is reported only if the source has a similar one and no
// command mentions the name.
func (c *checker) unmatchedPatterns() {
	if c.Source != nil {
		c.eachSelection(c.patterns)
	}
}

// eachSelection calls visit for each section that selects files, with its path.
func (c *checker) eachSelection(visit func(section string, a buildspec.Artifacts)) {
	if a := c.Spec.Artifacts; a != nil {
		visit("artifacts", *a)
		for _, s := range a.Secondary {
			visit("artifacts.secondary-artifacts."+s.Identifier, s)
		}
	}
	for _, r := range c.Spec.Reports {
		visit("reports."+r.Name, buildspec.Artifacts{Files: r.Files, BaseDirectory: r.BaseDirectory})
	}
	if c.Spec.Cache != nil {
		visit("cache", buildspec.Artifacts{Files: c.Spec.Cache.Paths})
	}
}

// itemPath returns the path of a pattern of a section.
func itemPath(section string, i int) string {
	if section == "cache" {
		return fmt.Sprintf("cache.paths[%d]", i)
	}
	return fmt.Sprintf("%s.files[%d]", section, i)
}

// maxPatterns limits the patterns of one list that are looked up in the source. Each pattern costs
// one or more directory listings.
const maxPatterns = 200

// patterns checks base-directory and the patterns of one section.
func (c *checker) patterns(section string, a buildspec.Artifacts) {
	base := "."
	if a.BaseDirectory != "" {
		base = path.Clean(a.BaseDirectory)
		if c.misspelt(".", base, c.Spec.ProblemAt(section+".base-directory", false, "")) {
			return
		}
	}
	for i, pattern := range a.Files[:min(len(a.Files), maxPatterns)] {
		c.misspelt(base, pattern, c.Spec.ProblemAt(itemPath(section, i), false, ""))
	}
}

// bracketPatterns reports patterns such as app/[id].js if the source has a file of this name.
// Names with brackets are common in Next.js and SvelteKit.
func (c *checker) bracketPatterns() {
	if c.Source == nil {
		return
	}
	c.eachSelection(func(section string, a buildspec.Artifacts) {
		for i, pattern := range a.Files[:min(len(a.Files), maxPatterns)] {
			named := c.bracketName(path.Join(a.BaseDirectory, pattern))
			if named == "" {
				continue
			}
			c.say(c.Spec.ProblemAt(itemPath(section, i), false, ""),
				named+" is in the source, but brackets in a pattern match one of the characters in them").
				Hint = "write ? for each bracket: " + tree.EscapeBrackets(pattern)
		}
	})
}

// bracketName returns the beginning of a pattern, up to a component with brackets, that is the
// exact name of something in the source; else "".
func (c *checker) bracketName(pattern string) string {
	for _, name := range tree.BracketNames(pattern) {
		if _, err := fs.Lstat(c.Source, name); err == nil { // also an error for an invalid name
			return name
		}
	}
	return ""
}

// negatedPaths reports cache paths with ! unless a file has such a name. Other services, such as
// Amplify, exclude such paths.
func (c *checker) negatedPaths() {
	if c.Spec.Cache == nil {
		return
	}
	for i, pattern := range c.Spec.Cache.Paths {
		first, _, _ := strings.Cut(pattern, "/")
		if !strings.HasPrefix(first, "!") || c.Source != nil && tree.IsLiteral(first) && c.exists(first) {
			continue
		}
		c.say(c.Spec.ProblemAt(itemPath("cache", i), false, ""), "! excludes nothing from a cache").
			Hint = "list only the paths to keep"
	}
}

// misspelt reports a pattern below base if its fixed part is not in the source but a
// similar name is. It returns whether it did.
func (c *checker) misspelt(base, pattern string, p diag.Problem) bool {
	// Patterns with variables are not known before the build. Absolute paths are outside of the
	// source.
	if expands().MatchString(base+pattern) || path.IsAbs(base) || path.IsAbs(pattern) || !tree.IsLiteral(base) {
		return false
	}
	// The path is followed component by component, so that the message can name the component that is
	// misspelled.
	dir, rest := base, strings.Split(tree.LiteralPrefix(pattern), "/")
	for _, part := range rest {
		if part == "." || part == ".." || part == "" {
			return false
		}
		if c.exists(path.Join(dir, part)) {
			dir = path.Join(dir, part)
			continue
		}
		meant := c.near(dir, part)
		// A directory such as dist is usually created by a tool. Without a similar name in the source
		// nothing speaks for a mistake.
		if meant == "" || c.mentioned(part) {
			return false
		}
		c.say(p, path.Join(dir, part)+" is not in the source, and no command creates it").
			Hint = fmt.Sprintf("did you mean %q?", path.Join(dir, meant))
		return true
	}
	return false
}

// mentioned reports whether any command contains a name.
func (c *checker) mentioned(part string) bool {
	return slices.ContainsFunc(c.scripts, func(s *script) bool { return strings.Contains(s.Text, part) })
}

// exists reports whether a file is in the source. A file that cannot be examined counts as
// present, so that it is not reported.
func (c *checker) exists(name string) bool {
	_, err := fs.Stat(c.Source, path.Clean(name))
	// For instance, a directory may not be readable for this user.
	return err == nil || !errors.Is(err, fs.ErrNotExist)
}

// near returns the only similar name in a directory, or "".
func (c *checker) near(dir, missing string) string {
	entries, err := fs.ReadDir(c.Source, path.Clean(dir))
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	// Slip is stricter than Suggest, because a file that does not exist is normal here.
	return diag.Slip(missing, names)
}

// usesGitDir matches commands that name the directory .git, most often to remove it.
var usesGitDir = lazy(`(^|[\s/"'=])\.git($|[\s/"'*;])`)

// gitInArtifacts reports patterns such as **/* that select the repository of the source. Sources
// of a pipeline and of S3 have none in the service.
func (c *checker) gitInArtifacts() {
	if c.Spec.Artifacts == nil || c.Source == nil || !c.exists(".git") || !c.clones() {
		return
	}
	for _, s := range c.scripts {
		if usesGitDir().MatchString(s.Text) {
			return
		}
	}
	c.eachSelection(func(section string, a buildspec.Artifacts) {
		if strings.HasPrefix(section, "artifacts") && path.Clean(a.BaseDirectory) == "." {
			c.gitIn(section, a)
		}
	})
}

// clones reports whether the build's source is a clone of a repository.
func (c *checker) clones() bool {
	if c.Project == nil {
		return true
	}
	kind := c.Project.Source.Type
	return kind != "CODEPIPELINE" && kind != "S3" && kind != "NO_SOURCE"
}

// gitIn reports the first pattern of a section that selects a file in .git which is not excluded.
// The file HEAD is in every repository.
func (c *checker) gitIn(section string, a buildspec.Artifacts) {
	const file = ".git/HEAD"
	matches := func(pattern string) bool { return tree.Match(path.Clean(pattern), file) }
	at := slices.IndexFunc(a.Files, matches)
	if at < 0 || slices.ContainsFunc(a.ExcludePaths, matches) {
		return
	}
	c.say(c.Spec.ProblemAt(itemPath(section, at), false, ""), "the artifacts include .git, the repository of the source").
		Hint = "add exclude-paths: ['.git/**/*'], or list the files to keep"
}

// missingBuildspecs checks the buildspecs of a batch that are paths in the source.
func (c *checker) missingBuildspecs() {
	if c.Source == nil {
		return
	}
	for _, t := range tasks(c.Spec.Batch) {
		c.missingBuildspec(t.Path+".buildspec", t.Buildspec)
	}
	if c.Spec.Batch != nil && c.Spec.Batch.Matrix != nil {
		for i, name := range c.Spec.Batch.Matrix.Buildspecs {
			c.missingBuildspec(fmt.Sprintf("batch.build-matrix.dynamic.buildspec[%d]", i), name)
		}
	}
}

// missingBuildspec checks one buildspec. Inline text, ARNs and variables are skipped.
func (c *checker) missingBuildspec(at, name string) {
	// A colon occurs in the ARN of an object in S3, a line feed in an inline buildspec.
	if name == "" || strings.ContainsAny(name, "\n$:") || !fs.ValidPath(path.Clean(name)) || c.exists(name) {
		return
	}
	said := c.say(c.Spec.ProblemAt(at, false, ""), name+" is not in the source")
	if meant := c.near(path.Dir(path.Clean(name)), path.Base(name)); meant != "" {
		said.Hint = fmt.Sprintf("did you mean %q?", path.Join(path.Dir(name), meant))
	}
}
