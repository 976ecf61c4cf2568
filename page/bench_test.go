package page_test

import (
	"io"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/page"
)

func BenchmarkWrite_SmallBuild(b *testing.B) {
	build := build(smallLog, 30)
	for b.Loop() {
		build.Log = strings.NewReader(smallLog)
		if err := page.Write(io.Discard, build); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWrite_LongLog(b *testing.B) {
	log := strings.Repeat("line 123456 of a long log, with more text so that it is about eighty bytes wide\n", 1_000_000)
	build := build(log, 30)
	for b.Loop() {
		build.Log = strings.NewReader(log)
		if err := page.Write(io.Discard, build); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteIndex(b *testing.B) {
	x := page.Index{Builds: builtBefore()}
	for b.Loop() {
		if err := page.WriteIndex(io.Discard, x); err != nil {
			b.Fatal(err)
		}
	}
}
