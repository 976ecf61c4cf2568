package main_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	maxColumns     = 120 // tabs count as one
	minComments    = 15  // percent of the lines of code that is not a test
	maxWhatClauses = 4   // clauses such as "what is left" in 1,000 lines
	maxPackage     = 1200
)

// unfinished lists directories that do not keep the rules of this file yet. It stays empty.
var unfinished = map[string]bool{}

// unclear lists constructions that make a text hard to read or to search, with a
// suggestion for each.
var unclear = []struct {
	pattern    *regexp.Regexp
	suggestion string
}{
	{regexp.MustCompile(`\b[Tt]ells?\b|\b[Tt]old\b`), "print, report, warn or log"},
	{regexp.MustCompile(`\b[Mm]end(s|ed|ing)?\b`), "fix"},
	{regexp.MustCompile(`\b[Bb]rought\b`), "pull, copy or add"},
	{regexp.MustCompile(`\b[Ll]en(ds?|t)\b`), "map, give or share"},
	{regexp.MustCompile(`\b[Ff]or want of\b`), "without, or because there is no"},
	{regexp.MustCompile(`\b(is|are|was) none\b`), "name what is missing, or say: is not valid"},
	{regexp.MustCompile(`\bof late\b`), "recently"},
	{regexp.MustCompile(`\b(to|can|could) be had\b`), "available"},
	{
		regexp.MustCompile(`\b[Ss]t(ands?|ood) (in|for|there|beside|at|before|behind|after|on|here)\b`),
		"is, is stored in, represents",
	},
	{regexp.MustCompile(`\b([Hh]e|[Hh]is|[Hh]im)\b`), "the user, they, their"},
	{regexp.MustCompile(`\b([Nn]obody|[Ss]omebody|[Ww]hoever)\b`), "name the user, the caller or the program"},
	{regexp.MustCompile(`(^|[.!:] )(What|Who|Of) [^?]*(\.|$)`), "begin the sentence with its subject"},
}

var (
	apart       = regexp.MustCompile(`\b[Tt]ell(s|ing)? (\S+ ){0,4}apart\b`)
	inlineCode  = regexp.MustCompile("`[^`]*`")
	whatClauses = regexp.MustCompile(
		`\b[Ww]hat (is|was|are|were|it|has|had|a|an|the|they|no|there|this|that|one|does|did|can|may|must|` +
			`would|of|to|comes|goes|came|runs|ran|makes|made|belongs|others|happens|[a-z]+s)\b`,
	)
	testName = regexp.MustCompile(`^(Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9]*(_[A-Z0-9][A-Za-z0-9]*)*$`)
)

func TestProse_Go(t *testing.T)            { keep(t, proseRule) }
func TestProse_Markdown(t *testing.T)      { keepMarkdown(t) }
func TestLines_AreShort(t *testing.T)      { keep(t, columnRule) }
func TestComments_Share(t *testing.T)      { keep(t, shareRule) }
func TestPackage_Size(t *testing.T)        { keep(t, packageSizeRule) }
func TestTestNames_UnitFirst(t *testing.T) { keep(t, testNameRule) }

// proseRule checks comments, and the messages in string literals.
func proseRule(c *codebase, report report) {
	clauses, lines := 0, 0
	for _, f := range c.files {
		if unfinished[f.dir] || isAboutProse(c, f) {
			continue
		}
		for _, group := range f.Comments {
			text := strings.Join(strings.Fields(group.Text()), " ")
			lines += strings.Count(group.Text(), "\n")
			clauses += len(whatClauses.FindAllString(text, -1))
			reportUnclear(text, func(format string, args ...any) { report(group, format, args...) })
		}
	}
	if clauses*1000 > maxWhatClauses*lines {
		report(
			c.files[0],
			"%d clauses such as \"what is left\" in %d lines of comments; name the noun instead",
			clauses,
			lines,
		)
	}
	walk(c.code(), func(f *file, n ast.Node) {
		literal, ok := n.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING || unfinished[f.dir] {
			return
		}
		if text, err := strconv.Unquote(literal.Value); err == nil && strings.Count(text, " ") > 1 {
			reportUnclear(
				inlineCode.ReplaceAllString(text, "code"),
				func(format string, args ...any) { report(n, format, args...) },
			)
		}
	})
}

// isAboutProse reports whether a file holds the words as data.
func isAboutProse(c *codebase, f *file) bool {
	return path.Base(c.fset.Position(f.Package).Filename) == "prose_test.go"
}

func reportUnclear(text string, report func(format string, args ...any)) {
	text = apart.ReplaceAllString(text, "distinguish")
	for _, u := range unclear {
		if found := u.pattern.FindString(text); found != "" {
			report("%q: write instead: %s", strings.TrimSpace(found), u.suggestion)
		}
	}
}

// keepMarkdown checks the text of Markdown files. Code blocks are exempt.
func keepMarkdown(t *testing.T) {
	t.Parallel()
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped.MatchString(d.Name()):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".md" || unfinished[path.Dir(name)]:
			return nil
		}
		text, err := os.ReadFile(name)
		for n, paragraph := range paragraphs(text) {
			reportUnclear(paragraph, func(format string, args ...any) {
				t.Errorf("%s: paragraph %d: %s", name, n+1, fmt.Sprintf(format, args...))
			})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// paragraphs returns the text outside code blocks, each paragraph on one line and
// without inline code.
func paragraphs(text []byte) []string {
	var all []string
	for i, block := range strings.Split(string(text), "```") {
		if i%2 == 1 {
			continue
		}
		for paragraph := range strings.SplitSeq(block, "\n\n") {
			all = append(all, inlineCode.ReplaceAllString(strings.Join(strings.Fields(paragraph), " "), "code"))
		}
	}
	return all
}

func columnRule(c *codebase, report report) {
	for _, f := range c.files {
		if unfinished[f.dir] {
			continue
		}
		for n, line := range bytes.Split(f.text, []byte("\n")) {
			if width := len([]rune(string(line))); width > maxColumns {
				report(at(c.fset.File(f.Package).LineStart(n+1)), "the line has %d columns, the limit is %d", width, maxColumns)
			}
		}
	}
}

// at is a position as a node.
type at token.Pos

func (p at) Pos() token.Pos { return token.Pos(p) }
func (p at) End() token.Pos { return token.Pos(p) }

// shareRule counts the comments of all code together: a package of tables needs few, one
// that copies the service's behaviour needs many.
func shareRule(c *codebase, report report) {
	lines, comments := 0, 0
	for _, f := range c.code() {
		if unfinished[f.dir] {
			continue
		}
		lines += c.fset.File(f.Package).LineCount()
		for _, group := range f.Comments {
			comments += c.fset.Position(group.End()).Line - c.fset.Position(group.Pos()).Line + 1
		}
	}
	if share := 100 * comments / max(lines, 1); share < minComments && len(unfinished) == 0 {
		report(
			c.files[0].Name,
			"%d %% of the lines are comments, the minimum is %d %%: explain the reasons that are not obvious",
			share,
			minComments,
		)
	}
}

func packageSizeRule(c *codebase, report report) {
	for dir, files := range byDir(c.code()) {
		lines := 0
		for _, f := range files {
			lines += c.fset.File(f.Package).LineCount()
		}
		if lines > maxPackage && (dir == "cmd" || strings.HasPrefix(dir, "cmd/")) && !unfinished[dir] {
			report(files[0].Name, "the package has %d lines, the limit is %d: split it by subject", lines, maxPackage)
		}
	}
}

// testNameRule wants TestUnit_Condition or TestUnitDoesX, of at most 60 letters.
func testNameRule(c *codebase, report report) {
	for _, f := range c.files {
		for _, d := range f.Decls {
			d, ok := d.(*ast.FuncDecl)
			if !ok || !f.test || unfinished[f.dir] || d.Recv != nil || !strings.HasPrefix(d.Name.Name, "Test") {
				continue
			}
			if name := d.Name.Name; name != "TestMain" &&
				(!testName.MatchString(name) || len(name) > 60 || sentence.MatchString(name)) {
				report(d, "%s: name the unit first, then the condition: TestUnit_Condition", name)
			}
		}
	}
}

// sentence matches test names that are sentences without a unit.
var sentence = regexp.MustCompile(
	`^Test(A|An|The|What|Who|Where|When|Of|No|Nothing|Nobody|Each|Every|All|Many|Two|One|It|Only|If|In|` +
		`On|With|Without|Some|There)[A-Z]`,
)
