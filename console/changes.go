package console

import (
	"strings"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/human"
)

// ChangeRow is a changed file as it is shown.
type ChangeRow struct {
	Letter string // A, M or D as in git
	Path   string
	Size   string // "" if it is not known
}

// ChangeRows returns changed files as they are shown.
func ChangeRows(changes []engine.Change) []ChangeRow {
	letters := map[engine.ChangeKind]string{engine.FileAdded: "A", engine.FileChanged: "M", engine.FileRemoved: "D"}
	var rows []ChangeRow
	for _, c := range changes {
		row := ChangeRow{Letter: letters[c.Kind], Path: c.Path}
		switch {
		case c.Kind == engine.FileRemoved || c.Files < 0:
		case strings.HasSuffix(c.Path, "/"):
			row.Size = human.Count(c.Files, "file") + ", " + human.Bytes(c.Bytes)
		default:
			row.Size = human.Bytes(c.Bytes)
		}
		rows = append(rows, row)
	}
	return rows
}

// ChangeTable returns a table of changed files.
func ChangeTable(changes []engine.Change) Table {
	t := Table{NoHead: true, Columns: make([]Column, 3)}
	for _, row := range ChangeRows(changes) {
		t.Add(Strong(row.Letter), Plain(row.Path), Weak(row.Size))
	}
	return t
}
