package console

import (
	"strings"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/human"
)

// ChangeTable returns a table of changed files: A, M or D as in git, the path, and the size.
func ChangeTable(changes []engine.Change) Table {
	t := Table{NoHead: true, Columns: make([]Column, 3)}
	letters := map[engine.ChangeKind]string{engine.FileAdded: "A", engine.FileChanged: "M", engine.FileRemoved: "D"}
	for _, c := range changes {
		size := ""
		switch {
		case c.Kind == engine.FileRemoved || c.Files < 0:
		case strings.HasSuffix(c.Path, "/"):
			size = human.Count(c.Files, "file") + ", " + human.Bytes(c.Bytes)
		default:
			size = human.Bytes(c.Bytes)
		}
		t.Add(Strong(letters[c.Kind]), Plain(c.Path), Weak(size))
	}
	return t
}
