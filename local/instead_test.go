package local

import (
	"slices"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine"
)

func TestSortByNearness_TagsThenNamesThenAge(t *testing.T) {
	t.Parallel()
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	all := []engine.Image{
		{Name: "python:3", Created: day(8)}, {Name: "nodes:1", Created: day(7)},
		{Name: "my.registry:5000/node:18", Created: day(1)}, {Name: "golang", Created: day(9)},
		{Name: "node:20", Created: day(2)},
	}
	sortByNearness(all, "node:22")
	var names []string
	for _, i := range all {
		names = append(names, i.Name)
	}
	want := []string{"node:20", "my.registry:5000/node:18", "nodes:1", "golang", "python:3"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}
