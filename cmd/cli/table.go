package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// Table prints rows with aligned columns, separated by two spaces. Cells may come from
// outside: each is escaped, so that none of them starts another row or column. Widths are
// in characters, and wide characters count as one.
type Table struct{ w *tabwriter.Writer }

// NewTable returns a table that Flush prints.
func NewTable(out io.Writer) Table { return Table{tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)} }

// Row adds a row. Cells are formatted as fmt.Sprint does.
func (t Table) Row(cells ...any) {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		texts[i] = diag.EscapeLine(fmt.Sprint(cell))
	}
	fmt.Fprintln(t.w, strings.Join(texts, "\t"))
}

// Flush prints the table, whose widths are known only now, and returns errors of writing.
func (t Table) Flush() error { return t.w.Flush() }
