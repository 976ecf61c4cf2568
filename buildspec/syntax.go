package buildspec

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// lazy compiles an expression when it is first used. Most buildspecs have no syntax
// error and need none of them.
func lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

var yamlError = lazy(`^yaml: (?:line (\d+): )?(.*)$`)

// parserError matches the messages of yaml.v3's parser, as opposed to those of its
// scanner. The two count lines differently.
var parserError = lazy(`^did not find expected (node content|'-' indicator|key|',' or|<document start>)`)

// syntax reports a YAML syntax error. yaml.v3 uses the messages of libyaml, and so does
// CodeBuild, whose message has the line at the end (observed).
func (p *parser) syntax(err error, text []byte) {
	message, line := err.Error(), 0
	if m := yamlError().FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = m[2]
	}
	service := fmt.Sprintf("%s at line %d", message, line)
	if parserError().MatchString(message) {
		line++ // the parser counts lines from 0, the scanner from 1
	}
	at := p.place(message, min(max(line, 1), len(p.spec.lines)), text) // errors in the first line have no number
	problem := p.spec.At(at.Line, at.Column, at.Width, message)
	problem.Name, problem.Hint, problem.Service, problem.Fix = YAMLSyntax, at.hint, service, at.fix
	p.add(problem)
}

// syntaxError is the position of a syntax error, with a hint and possibly a fix.
type syntaxError struct {
	Line, Column, Width int
	hint                string // may be empty
	fix                 *diag.Fix
}

// place returns the characters that cause a syntax error, or the whole line if they
// cannot be determined. libyaml often reports the line in which it gave up rather than
// the one with the mistake, so the usual mistakes are searched for by their messages.
func (p *parser) place(message string, line int, text []byte) syntaxError {
	if strings.Contains(message, "control characters") || strings.Contains(message, "UTF-8") {
		return invalidCharacter(text)
	}
	f := wholeLine(line, p.line(line))
	switch {
	case p.conflict(&f), p.openQuote(&f, f.Line):
	case strings.Contains(message, "mapping values are not allowed"):
		p.colon(&f)
	case strings.Contains(message, "cannot start any token"), strings.Contains(message, "tab character"):
		p.token(&f)
	case strings.Contains(message, "expected alphabetic or numeric"):
		f.hint = "a * or & begins an alias or an anchor here: put the whole value in quotes"
		p.quoteItem(&f)
	case strings.Contains(message, "unknown anchor"):
		p.anchor(&f, message)
	case strings.Contains(message, "could not find expected ':'"):
		f.hint = "a line is neither a list item nor a key: fix its indentation, or begin it with `- ` or a key"
	case strings.Contains(message, "did not find expected"):
		p.structure(&f)
	case strings.Contains(message, "unexpected end of stream"):
		f.hint = "a quote or a bracket is not closed"
	case strings.Contains(message, "incompatible YAML document"):
		f.hint = "remove this line"
	case strings.Contains(message, "unknown escape character"):
		f.hint = `\ begins an escape sequence in double quotes: use single quotes, or write \\`
	}
	return f
}

// conflict looks for a conflict marker of git.
func (p *parser) conflict(f *syntaxError) bool {
	for i, line := range p.spec.lines {
		if strings.HasPrefix(line, "<<<<<<< ") {
			*f = wholeLine(i+1, line)
			f.hint = "this is a git conflict marker: resolve the conflict"
			return true
		}
	}
	return false
}

// opening matches a value that begins with a quote.
var opening = lazy(`^\s*(?:- +)*(?:[A-Za-z_-]+: +)?(["'])`)

// openQuote looks for a quote that is not closed, in the lines up to last. Such a quoted
// string ends at the opening quote of a later string, so it is followed by text.
func (p *parser) openQuote(f *syntaxError, last int) bool {
	for n := 1; n <= min(last, len(p.spec.lines)); n++ {
		line := p.line(n)
		m := opening().FindStringSubmatchIndex(line)
		if m == nil {
			continue
		}
		end, rest := p.closing(n, line[m[3]:], line[m[2]])
		if end == n {
			continue
		}
		if rest = strings.TrimSpace(rest); end > 0 && (rest == "" || strings.ContainsAny(rest[:1], "#,]}:")) {
			n = end
			continue
		}
		*f = syntaxError{
			Line: n, Column: len([]rune(line[:m[2]])) + 1,
			Width: len([]rune(strings.TrimRight(line[m[2]:], " "))), hint: "this quote is not closed",
		}
		return true
	}
	return false
}

// closing returns the line in which a quoted string ends and the text after it. rest is
// the remainder of line n after the opening quote. The line is 0 if the string does not
// end.
func (p *parser) closing(n int, rest string, quote byte) (int, string) {
	for {
		for i := 0; i < len(rest); i++ {
			switch {
			case quote == '"' && rest[i] == '\\':
				i++
			case rest[i] != quote:
			case quote == '\'' && i+1 < len(rest) && rest[i+1] == quote:
				i++
			default:
				return n, rest[i+1:]
			}
		}
		n++
		if n > len(p.spec.lines) {
			return 0, ""
		}
		rest = p.line(n)
	}
}

// anchor finds the alias without an anchor; yaml.v3's message has no line.
func (p *parser) anchor(f *syntaxError, message string) {
	f.hint = "put a value that begins with * in quotes"
	_, name, _ := strings.Cut(message, "'")
	name, _, _ = strings.Cut(name, "'")
	var known []string
	for _, line := range p.spec.lines {
		for _, m := range anchorName().FindAllStringSubmatch(line, -1) {
			known = append(known, m[1])
		}
	}
	if meant := diag.Slip(name, known); meant != "" {
		f.hint = fmt.Sprintf("did you mean *%s?", meant)
	}
	for i, line := range p.spec.lines {
		if at := aliasAt(line, name); at >= 0 {
			f.Line, f.Column, f.Width = i+1, len([]rune(line[:at]))+1, len([]rune(name))+1
			return
		}
	}
}

// anchorName matches the definition of an anchor.
var anchorName = lazy(`(?:[:-]|^)\s+&([^\s,\[\]{}]+)`)

// aliasAt returns the index of the alias *name in a line, or -1.
func aliasAt(line, name string) int {
	for from := 0; ; {
		at := strings.Index(line[from:], "*"+name)
		if at < 0 {
			return -1
		}
		at += from
		before := strings.TrimRight(line[:at], " ")
		if before == "" || strings.ContainsAny(before[len(before)-1:], "-:,[{") && !strings.Contains(before, "#") {
			return at
		}
		from = at + 1
	}
}

// colon explains a misplaced ": ". Either it is in the middle of an unquoted value, or the
// line above is a key without a space after its colon.
func (p *parser) colon(f *syntaxError) {
	for n := f.Line - 1; n > 0; n-- {
		line := p.line(n)
		if m := tightColon().FindStringSubmatch(line); m != nil {
			*f = wholeLine(n, line)
			f.hint = fmt.Sprintf("line %d has no space after the colon: write %s: %s", n, m[1], m[2])
			return
		}
		if strings.TrimSpace(line) != "" {
			break
		}
	}
	f.hint = `": " in an unquoted value begins a mapping: put the whole value in quotes`
	p.quoteItem(f)
}

// tightColon matches a key without a space after its colon, and behindQuote a list item
// with text after its closing quote.
var (
	tightColon  = lazy(`^\s*([A-Za-z_-]+):([^\s:/]\S*)\s*$`)
	behindQuote = lazy(`^\s*- +('(?:[^']|'')*'|"(?:[^"\\]|\\.)*")\s*[^\s:#]`)
)

// structure looks for the line with the mistake. libyaml reports the line in which the
// enclosing mapping or list begins.
func (p *parser) structure(f *syntaxError) {
	f.hint = "check the indentation, quotes and brackets of this line and the one above"
	for i := max(0, f.Line-1); i < len(p.spec.lines); i++ {
		if line := p.line(i + 1); behindQuote().MatchString(line) {
			*f = wholeLine(i+1, line)
			f.hint = "there is text after the closing quote: put the whole item in quotes"
			p.quoteItem(f)
			return
		}
	}
	if !p.openQuote(f, len(p.spec.lines)) {
		p.indentation(f)
	}
}

// indentation looks for the first line whose indentation matches no line above it.
func (p *parser) indentation(f *syntaxError) {
	var open []int // indentation of the enclosing mappings and lists
	lists := map[int]bool{}
	for i, line := range p.spec.lines {
		text := strings.TrimLeft(line, " ")
		indent := len(line) - len(text)
		if text == "" || text[0] == '#' {
			continue
		}
		closed := -1
		for len(open) > 0 && open[len(open)-1] > indent {
			closed = open[len(open)-1]
			open = open[:len(open)-1]
		}
		outer := -1
		if len(open) > 0 {
			outer = open[len(open)-1]
		}
		dash := strings.HasPrefix(text, "- ")
		if closed >= 0 && outer == indent && dash && !lists[outer] && lists[closed] {
			*f = wholeLine(i+1, line)
			f.hint = fmt.Sprintf("this item is indented by %d spaces, those above by %d", indent, closed)
			return
		}
		if closed >= 0 && outer >= 0 && outer < indent {
			*f = wholeLine(i+1, line)
			f.hint = fmt.Sprintf("this line is indented by %d spaces, the lines around it by %d or %d", indent, outer, closed)
			return
		}
		if block().MatchString(line) || strings.Count(line, `"`)%2 == 1 {
			return // the contents of a block or of a quoted string may have any indentation
		}
		if outer < indent {
			open = append(open, indent)
			lists[indent] = dash
		}
		if strings.HasPrefix(text, "- ") && keyLine().MatchString(text) {
			open = append(open, indent+len(text)-len(strings.TrimLeft(text[1:], " ")))
		}
	}
}

// block matches a line that begins a block scalar, and keyLine a list item that begins a
// mapping.
var (
	block   = lazy(`(^|[:-] +)[|>][+-]?[0-9]?\s*(#.*)?$`)
	keyLine = lazy(`^- +[A-Za-z_-]+:(\s|$)`)
)

// wholeLine returns a syntaxError that covers a line without its surrounding white space.
func wholeLine(number int, line string) syntaxError {
	text := strings.TrimLeft(line, " \t")
	indent := len(line) - len(text)
	return syntaxError{Line: number, Column: indent + 1, Width: max(1, len([]rune(strings.TrimRight(text, " \t"))))}
}

// invalidCharacter finds the first character that YAML does not allow.
func invalidCharacter(text []byte) syntaxError {
	f := syntaxError{Line: 1, Column: 1, Width: 1, hint: "the file must be UTF-8"}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		control := r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f
		if r == utf8.RuneError && size == 1 {
			return f
		}
		if control {
			f.hint = fmt.Sprintf(`write the character U+%04X as the escape "\x%02x" in double quotes`, r, r)
			return f
		}
		i += size
		f.Column++
		if r == '\n' || r == '\r' && (i == len(text) || text[i] != '\n') {
			f.Line, f.Column = f.Line+1, 1
		}
	}
	return f
}

// quoteItem suggests quotes for a list item, and adds a fix if they resolve the error.
func (p *parser) quoteItem(f *syntaxError) {
	item, found := itemOf(p.line(f.Line))
	if !found {
		return
	}
	f.hint += ": - " + item.quoted
	if p.quotingHelps(f.Line, item) {
		f.fix = item.fix(f.Line)
	}
}

// token distinguishes a tab in the indentation from a character with a special meaning at
// the beginning of a value.
func (p *parser) token(f *syntaxError) {
	for n := max(1, f.Line); n <= len(p.spec.lines); n++ {
		line := p.line(n)
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if at := strings.IndexByte(indent, '\t'); at >= 0 && strings.TrimSpace(line) != "" && n <= f.Line+1 {
			f.Line, f.Column, f.Width = n, at+1, strings.Count(indent, "\t")
			f.hint = "indent with spaces, not tabs"
			return
		}
	}
	f.hint = "put a value that begins with @, ` or % in quotes"
	line := p.line(f.Line)
	p.quoteItem(f)
	if at := strings.IndexAny(line, "@`%"); at >= 0 {
		f.Column, f.Width = len([]rune(line[:at]))+1, 1
	}
}

// item is a list item of one line that YAML did not read as text.
type item struct {
	column       int // of the text, in characters from 1
	text, quoted string
}

var itemLine = lazy(`^(\s*(?:- +|(?:commands|finally): +))(\S.*?)\s*$`)

// itemOf returns the text after the last "- " that begins a line.
func itemOf(line string) (item, bool) {
	m := itemLine().FindStringSubmatch(line)
	if m == nil {
		return item{}, false
	}
	return quote(line, len([]rune(m[1]))+1), true
}

// quote returns the rest of a line from a column on, and the same in single quotes. A
// comment is left out.
func quote(line string, column int) item {
	text := strings.TrimRight(withoutComment(string([]rune(line)[column-1:])), " \t")
	return item{column: column, text: text, quoted: "'" + strings.ReplaceAll(text, "'", "''") + "'"}
}

// withoutComment removes a comment: a # after white space, outside of the quotes that a
// shell would see.
func withoutComment(text string) string {
	quote := rune(0)
	before := ' '
	for i, r := range text {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		case quote == 0 && r == '#' && (before == ' ' || before == '\t'):
			return text[:i]
		}
		before = r
	}
	return text
}

// fix returns a fix that puts the item in quotes.
func (i item) fix(line int) *diag.Fix {
	edit := diag.Edit{Line: line, Column: i.column, Old: i.text, Text: i.quoted}
	return &diag.Fix{Title: "put it in quotes", Safe: true, Edits: []diag.Edit{edit}}
}

// quotingHelps reports whether the YAML parser gets past a line if its item is quoted.
func (p *parser) quotingHelps(number int, i item) bool {
	line := p.line(number)
	if _, rest, _ := strings.Cut(line, i.text); strings.TrimSpace(rest) != "" &&
		!strings.HasPrefix(strings.TrimSpace(rest), "#") {
		return false
	}
	lines := append([]string{}, p.spec.lines...)
	lines[number-1] = strings.Replace(line, i.text, i.quoted, 1)
	var doc yaml.Node
	err := yaml.Unmarshal([]byte(strings.Join(lines, "\n")), &doc)
	if err == nil {
		return true
	}
	m := yamlError().FindStringSubmatch(err.Error())
	if m == nil {
		return false
	}
	at, _ := strconv.Atoi(m[1])
	return at > number
}
