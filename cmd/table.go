package cmd

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// table prints rows with aligned columns. Cells may come from outside: each is escaped,
// so that none of them starts another row or column.
type table struct{ w *tabwriter.Writer }

func newTable(out io.Writer) table { return table{tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)} }

func (t table) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		texts[i] = diag.EscapeLine(fmt.Sprint(cell))
	}
	fmt.Fprintln(t.w, strings.Join(texts, "\t"))
}

// flush prints the table.
func (t table) flush() error { return t.w.Flush() }
