package secrets

import (
	"fmt"
	"io"
)

// Value is a text that must not be printed by accident: every way to format or marshal
// it yields Placeholder. Only Reveal returns the text, so that a search for Reveal finds
// each place that handles it. Values are comparable, and the zero value is empty.
type Value struct{ text string }

// NewValue returns the Value of a text.
func NewValue(text string) Value { return Value{text} }

// Reveal returns the text. The caller must not print, log or store it unmasked, except
// in the build's container.
func (v Value) Reveal() string { return v.text }

// Empty reports whether the text is empty.
func (v Value) Empty() bool { return v.text == "" }

// String implements fmt.Stringer.
func (v Value) String() string { return Placeholder }

// GoString implements fmt.GoStringer.
func (v Value) GoString() string { return Placeholder }

// Format implements fmt.Formatter: no verb shows the text, not even %x.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Placeholder) }

// MarshalText implements encoding.TextMarshaler, which encoding/json and others use.
func (v Value) MarshalText() ([]byte, error) { return []byte(Placeholder), nil }
