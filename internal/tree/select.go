package tree

import (
	"path"
	"strings"
)

// Dirs returns the absolute directories, or files, that have all selected files. It returns nil if Base
// is a pattern.
func (s Selection) Dirs() []string {
	if !IsLiteral(s.Base) {
		return nil
	}
	c := &collector{s: s}
	place := c.place(s.Base)
	var all []string
	for _, stem := range LiteralPrefixes(c.relative(place)) {
		all = append(all, path.Join(place, stem))
	}
	return all
}

// Selects reports whether the file with an absolute name is selected. It is false if Base is a pattern.
func (s Selection) Selects(name string) bool {
	c := &collector{s: s, matched: map[string]bool{}}
	place := c.place(s.Base)
	below, inside := strings.CutPrefix(name, place+"/")
	return inside && IsLiteral(s.Base) && c.wanted(place, below)
}
