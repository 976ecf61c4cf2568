package console

import (
	"fmt"

	"github.com/fatih/color"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// styled is text that is safe to print: external values in it are escaped, so all of its
// terminal sequences are ours. It is a type so that the compiler finds a value that was
// not escaped, or would be escaped twice.
type styled string

// style is a color. It escapes the text that it colors.
type style struct{ *color.Color }

// newStyle returns a style, which is on or off regardless of the library's own detection: it
// looks at the process, and not at the writer.
func newStyle(on bool, attributes ...color.Attribute) style {
	c := color.New(attributes...)
	if on {
		c.EnableColor()
	} else {
		c.DisableColor()
	}
	return style{c}
}

// Sprint returns a value in the color.
func (s style) Sprint(arg any) styled { return styled(s.Color.Sprint(safe(arg))) }

// Sprintf returns a formatted text in the color.
func (s style) Sprintf(format string, args ...any) styled {
	return styled(s.Color.Sprint(string(formatted(format, args...))))
}

// formatted formats values that may come from outside: every one of them that is not
// styled, or a number, is escaped.
func formatted(format string, args ...any) styled {
	for i, arg := range args {
		args[i] = safe(arg)
	}
	return styled(fmt.Sprintf(format, args...))
}

// safe escapes a value, unless it is styled, or a number that a verb formats.
func safe(arg any) any {
	switch a := arg.(type) {
	case styled, int, int64, float64:
		return a
	case string:
		return diag.Escape(a)
	}
	return diag.Escape(fmt.Sprint(arg))
}
