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

// lazy compiles an expression when it is first used: most buildspecs have no
// fault.
func lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

var yamlError = lazy(`^yaml: (?:line (\d+): )?(.*)$`)

// parserError tells the messages of yaml.v3's parser from its scanner's.
var parserError = lazy(`^did not find expected (node content|'-' indicator|key|',' or|<document start>)`)

// syntax notes a YAML error with its line, and with the service's wording: the
// same message, the line behind it.
func (p *parser) syntax(err error, text []byte) {
	message, line := err.Error(), 0
	if m := yamlError().FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = m[2]
	}
	service := fmt.Sprintf("%s at line %d", message, line)
	if parserError().MatchString(message) {
		line++ // counted from zero, unlike the scanner's
	}
	at := p.place(message, min(max(line, 1), len(p.spec.lines)), text) // it names no first line
	problem := p.spec.At(at.Line, at.Column, at.Width, message+at.hint)
	problem.Name, problem.Service, problem.Fix = YAMLSyntax, service, at.fix
	p.add(problem)
}

// fault is where a YAML error stands, and the way out.
type fault struct {
	Line, Column, Width int
	hint                string
	fix                 *diag.Fix
}

// place finds the characters YAML stumbled over; where it cannot, the line.
func (p *parser) place(message string, line int, text []byte) fault {
	if strings.Contains(message, "control characters") || strings.Contains(message, "UTF-8") {
		return odd(text)
	}
	f := wholeLine(line, p.line(line))
	switch {
	case p.conflict(&f), p.openQuote(&f, f.Line):
	case strings.Contains(message, "mapping values are not allowed"):
		p.colon(&f)
	case strings.Contains(message, "cannot start any token"), strings.Contains(message, "tab character"):
		p.token(&f)
	case strings.Contains(message, "expected alphabetic or numeric"):
		f.hint = "; a * or & here begins a name of YAML: put the whole value in quotes"
		p.quoteItem(&f)
	case strings.Contains(message, "unknown anchor"):
		p.anchor(&f, message)
	case strings.Contains(message, "could not find expected ':'"):
		f.hint = "; a line here is neither an item nor a key: indent it like the lines it belongs to, or write `- ` or a key before it"
	case strings.Contains(message, "did not find expected"):
		p.structure(&f)
	case strings.Contains(message, "unexpected end of stream"):
		f.hint = "; a quote or a bracket that is opened here is not closed"
	case strings.Contains(message, "incompatible YAML document"):
		f.hint = "; leave this line out"
	case strings.Contains(message, "unknown escape character"):
		f.hint = `; in double quotes a \ begins an escape: use single quotes, or write \\`
	}
	return f
}

// conflict points at the mark that git leaves where it cannot merge.
func (p *parser) conflict(f *fault) bool {
	for i, line := range p.spec.lines {
		if strings.HasPrefix(line, "<<<<<<< ") {
			*f = wholeLine(i+1, line)
			f.hint = "; here git could not merge two versions: write the one that is meant"
			return true
		}
	}
	return false
}

// opening is a value that begins with a quote.
var opening = lazy(`^\s*(?:- +)*(?:[A-Za-z_-]+: +)?(["'])`)

// openQuote points at a quote that is opened and not closed: it ends where the
// next one was to begin, in the midst of a text. It looks as far as line last.
func (p *parser) openQuote(f *fault, last int) bool {
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
		*f = fault{Line: n, Column: len([]rune(line[:m[2]])) + 1, Width: len([]rune(strings.TrimRight(line[m[2]:], " "))), hint: "; the quote that is opened here is not closed"}
		return true
	}
	return false
}

// closing returns the line in which a quote is closed, 0 for none, and what
// stands behind it.
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

// anchor points at an alias that stands for nothing; the message has no line.
func (p *parser) anchor(f *fault, message string) {
	f.hint = "; a value that begins with * must be in quotes"
	_, name, _ := strings.Cut(message, "'")
	name, _, _ = strings.Cut(name, "'")
	var known []string
	for _, line := range p.spec.lines {
		for _, m := range anchorName().FindAllStringSubmatch(line, -1) {
			known = append(known, m[1])
		}
	}
	if meant := diag.Slip(name, known); meant != "" {
		f.hint = fmt.Sprintf("; did you mean *%s?", meant)
	}
	for i, line := range p.spec.lines {
		if at := aliasAt(line, name); at >= 0 {
			f.Line, f.Column, f.Width = i+1, len([]rune(line[:at]))+1, len([]rune(name))+1
			return
		}
	}
}

// anchorName is where a value gets a name.
var anchorName = lazy(`(?:[:-]|^)\s+&([^\s,\[\]{}]+)`)

// aliasAt returns where a value of a line is an alias of a name, or -1.
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

// colon explains a ": " where none may stand: in a plain text, or behind a line
// whose own colon has no space behind it.
func (p *parser) colon(f *fault) {
	for n := f.Line - 1; n > 0; n-- {
		line := p.line(n)
		if m := tightColon().FindStringSubmatch(line); m != nil {
			*f = wholeLine(n, line)
			f.hint = fmt.Sprintf("; the colon of line %d has no space behind it: expected %s: %s", n, m[1], m[2])
			return
		}
		if strings.TrimSpace(line) != "" {
			break
		}
	}
	f.hint = `; a ": " in plain text begins a mapping: put the whole value in quotes`
	p.quoteItem(f)
}

// tightColon is a key without a space behind its colon, and behindQuote an item
// that goes on where its quote is closed.
var (
	tightColon  = lazy(`^\s*([A-Za-z_-]+):([^\s:/]\S*)\s*$`)
	behindQuote = lazy(`^\s*- +('(?:[^']|'')*'|"(?:[^"\\]|\\.)*")\s*[^\s:#]`)
)

// structure looks for the line that is at fault: YAML names the one where the
// mapping or the list begins.
func (p *parser) structure(f *fault) {
	f.hint = "; look at the indentation, the quotes and the brackets of this line and the one above"
	for i := max(0, f.Line-1); i < len(p.spec.lines); i++ {
		if line := p.line(i + 1); behindQuote().MatchString(line) {
			*f = wholeLine(i+1, line)
			f.hint = "; something stands behind the closing quote: put the whole item in quotes"
			p.quoteItem(f)
			return
		}
	}
	if !p.openQuote(f, len(p.spec.lines)) {
		p.indentation(f)
	}
}

// indentation looks for the first line that is indented as no line around it.
func (p *parser) indentation(f *fault) {
	var open []int // how far the mappings and lists around a line are indented
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
			f.hint = fmt.Sprintf("; this item is indented by %d spaces, and those above by %d", indent, closed)
			return
		}
		if closed >= 0 && outer >= 0 && outer < indent {
			*f = wholeLine(i+1, line)
			f.hint = fmt.Sprintf("; this line is indented by %d spaces, and those it may belong to by %d or %d", indent, outer, closed)
			return
		}
		if block().MatchString(line) || strings.Count(line, `"`)%2 == 1 {
			return // what follows is indented as its author likes
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

// block ends a line that begins a block of text, and keyLine is an item of a
// list that is a mapping.
var (
	block   = lazy(`(^|[:-] +)[|>][+-]?[0-9]?\s*(#.*)?$`)
	keyLine = lazy(`^- +[A-Za-z_-]+:(\s|$)`)
)

// wholeLine is a line without the white space around it.
func wholeLine(number int, line string) fault {
	text := strings.TrimLeft(line, " \t")
	indent := len(line) - len(text)
	return fault{Line: number, Column: indent + 1, Width: max(1, len([]rune(strings.TrimRight(text, " \t"))))}
}

// odd finds the first character that YAML does not take.
func odd(text []byte) fault {
	f := fault{Line: 1, Column: 1, Width: 1, hint: "; expected text in UTF-8"}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		control := r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f
		if r == utf8.RuneError && size == 1 {
			return f
		}
		if control {
			f.hint = fmt.Sprintf(`; the character U+%04X must be written as an escape such as "\x%02x", in double quotes`, r, r)
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

// quoteItem puts the list item that YAML stumbled over in quotes.
func (p *parser) quoteItem(f *fault) {
	item, found := itemOf(p.line(f.Line))
	if !found {
		return
	}
	f.hint += ", as in - " + item.quoted
	if p.helps(f.Line, item) {
		f.fix = item.fix(f.Line)
	}
}

// token tells a tab from a character that has a meaning of its own.
func (p *parser) token(f *fault) {
	for n := max(1, f.Line); n <= len(p.spec.lines); n++ {
		line := p.line(n)
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if at := strings.IndexByte(indent, '\t'); at >= 0 && strings.TrimSpace(line) != "" && n <= f.Line+1 {
			f.Line, f.Column, f.Width = n, at+1, strings.Count(indent, "\t")
			f.hint = "; indent with spaces, not with tabs"
			return
		}
	}
	f.hint = "; a value that begins with @, ` or % must be in quotes"
	line := p.line(f.Line)
	p.quoteItem(f)
	if at := strings.IndexAny(line, "@`%"); at >= 0 {
		f.Column, f.Width = len([]rune(line[:at]))+1, 1
	}
}

// item is one list item of a single line that YAML did not take for text.
type item struct {
	column       int // where its text begins, in characters
	text, quoted string
}

var itemLine = lazy(`^(\s*(?:- +|(?:commands|finally): +))(\S.*?)\s*$`)

// itemOf returns the text behind the last "- " that begins a line.
func itemOf(line string) (item, bool) {
	m := itemLine().FindStringSubmatch(line)
	if m == nil {
		return item{}, false
	}
	return quote(line, len([]rune(m[1]))+1), true
}

// quote puts what stands from a column to the end of a line in quotes, a comment
// left out.
func quote(line string, column int) item {
	text := strings.TrimRight(withoutComment(string([]rune(line)[column-1:])), " \t")
	return item{column: column, text: text, quoted: "'" + strings.ReplaceAll(text, "'", "''") + "'"}
}

// withoutComment cuts the comment off a text: a # behind white space, outside of
// the quotes a shell would see.
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

func (i item) fix(line int) *diag.Fix {
	return &diag.Fix{Title: "put it in quotes", Safe: true, Edits: []diag.Edit{{Line: line, Column: i.column, Old: i.text, Text: i.quoted}}}
}

// helps reports whether YAML gets beyond a line when its item is in quotes.
func (p *parser) helps(number int, i item) bool {
	line := p.line(number)
	if _, rest, _ := strings.Cut(line, i.text); strings.TrimSpace(rest) != "" && !strings.HasPrefix(strings.TrimSpace(rest), "#") {
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
