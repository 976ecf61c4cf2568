package diag

import "bytes"

// Plain returns output of a command without the control sequences of terminals, such as colors.
func Plain(line []byte) []byte {
	if bytes.IndexByte(line, '\x1b') < 0 {
		return line
	}
	plain := make([]byte, 0, len(line))
	for len(line) > 0 {
		if n := sequenceLength(line); n > 0 {
			line = line[n:]
			continue
		}
		plain, line = append(plain, line[0]), line[1:]
	}
	return plain
}

// sequenceLength returns the length of the control sequence at the beginning of a text
// (ECMA-48, CSI), or 0.
func sequenceLength(text []byte) int {
	if !bytes.HasPrefix(text, []byte("\x1b[")) {
		return 0
	}
	end := bytes.IndexFunc(text[2:], func(r rune) bool { return r >= '@' && r <= '~' })
	return end + 3 // 2, for a sequence without an end, removes its beginning
}
