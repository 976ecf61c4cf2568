package page

import "bytes"

// compactScript removes comments, and blanks that separate no words, from a script. All
// statements of the scripts end with a semicolon, so no line break ends one.
func compactScript(text []byte) []byte {
	var out []byte
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case bytes.HasPrefix(text[i:], []byte("//")):
			i += lineLength(text[i:])
		case c == ' ' || c == '\n':
			for i < len(text) && (text[i] == ' ' || text[i] == '\n') {
				i++
			}
			if len(out) > 0 && i < len(text) && separates(out[len(out)-1], text[i]) {
				out = append(out, ' ')
			}
		case c == '"' || c == '\'' || c == '`' || c == '/' && beginsRegexp(out):
			n := literalLength(text[i:])
			out = append(out, text[i:i+n]...)
			i += n
		default:
			out = append(out, c)
			i++
		}
	}
	return out
}

// separates reports whether two characters need a blank in between: those of words, and signs
// that would become one operator.
func separates(a, b byte) bool {
	return isWordByte(a) && isWordByte(b) || a == b && (a == '+' || a == '-')
}

func isWordByte(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// beginsRegexp reports whether a slash after a text begins a regular expression: it is a
// division only after a value.
func beginsRegexp(before []byte) bool {
	return len(before) == 0 || bytes.IndexByte([]byte("(,=:[!&|?{};"), before[len(before)-1]) >= 0
}

// literalLength returns the length of the string, template or regular expression at the
// beginning of a text. Templates of the scripts contain no other templates.
func literalLength(text []byte) int {
	quote, inClass := text[0], false
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case quote == '/' && (c == '[' || c == ']'):
			inClass = c == '['
		case c == quote && !inClass:
			return i + 1
		}
	}
	return len(text)
}

func lineLength(text []byte) int {
	if end := bytes.IndexByte(text, '\n'); end >= 0 {
		return end
	}
	return len(text)
}

// compactStyle removes comments, indentation and line breaks from a style sheet with one
// declaration or comment in each line.
func compactStyle(text []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if bytes.HasPrefix(line, []byte("/*")) {
			continue
		}
		if bytes.HasSuffix(line, []byte(";")) { // a declaration, unlike a selector
			line = bytes.Replace(line, []byte(": "), []byte(":"), 1)
		}
		out.Write(line)
		if len(line) > 0 && isWordByte(line[len(line)-1]) {
			out.WriteByte('\n') // a value in several lines
		}
	}
	return out.Bytes()
}
