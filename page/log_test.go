package page

import (
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/runner"
)

func TestCutLog_UsesRecordedStructureOnly(t *testing.T) {
	t.Parallel()
	const first = "[Container] Running command make\n"
	const printed = "[Container] Entering phase EVIL\n[Container] Running command evil\nlast\n\n"
	const second = "[Container] Running command true\n"
	log := first + printed + second + "\n"
	end := int64(len(first + printed))
	evil := int64(strings.Index(log, "[Container] Running command evil"))
	failures := []runner.Failure{{Command: 0, Output: []runner.OutputLine{{Offset: evil}, {Offset: evil + 33}}}}
	index, err := cutLog(strings.NewReader(log), builds.LogIndex{
		Commands: []builds.LogCommand{
			{Start: 0, End: end, Phase: "BUILD", Failed: true}, {Start: end, End: int64(len(log)), Phase: "POST_BUILD"},
		},
		Agent:  []int64{0, end},
		Errors: []int64{evil}, Times: []int64{0, 100, evil + 5, 400, 20, 500},
	}, failures, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	want := logIndex{
		Blocks: []logBlock{{First: 0, Lines: 7}},
		Sections: []section{{Command: 0, Line: 0, Output: 1, End: 4, Bad: true, Phase: "BUILD"},
			{Command: 1, Line: 5, Output: 6, End: 6, Phase: "POST_BUILD"}},
		Agent: []int{0, 5}, Errors: []int{2}, Times: []int64{0, 100, 3, 900}, Shown: [][]int{{2, 3}},
	}
	if diff := cmp.Diff(want, index); diff != "" {
		t.Error(diff)
	}
	index, err = cutLog(strings.NewReader(log), builds.LogIndex{}, nil, func([]byte) error { return nil })
	if err != nil || len(index.Sections)+len(index.Agent) > 0 {
		t.Errorf("without a recorded structure: %+v, %v", index, err)
	}
}

// A reader that returns single bytes makes cutLog look at each line by itself.
func TestCutLog_PlainLinesAreCutAlike(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	kinds := []string{
		"", "plain", "ä", "\x1b[31mred", "\x1b[0mno more", "10 %\r20 %", "\xff", "ends\r", strings.Repeat("long ", 20_000),
	}
	for round := range 50 {
		var text strings.Builder
		var structure builds.LogIndex
		for text.Len() < blockSize*5/2 {
			at := int64(text.Len())
			switch random.IntN(400) {
			case 0:
				structure.Agent = append(structure.Agent, at)
			case 1:
				structure.Commands = append(structure.Commands, builds.LogCommand{Start: at, End: at + random.Int64N(100_000)})
			case 2: // as in a damaged index
				structure.Agent = append(structure.Agent, at+3)
			}
			text.WriteString(strings.Repeat("x", random.IntN(200)))
			if random.IntN(100) == 0 {
				text.WriteString(kinds[random.IntN(len(kinds))])
			}
			if random.IntN(2000) > 0 {
				text.WriteString("\n")
			}
		}
		cut := func(in io.Reader) (logIndex, []string) {
			var pieces []string
			index, err := cutLog(in, structure, nil, func(text []byte) error {
				pieces = append(pieces, string(text))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return index, pieces
		}
		index, pieces := cut(strings.NewReader(text.String()))
		wantIndex, wantPieces := cut(iotest.OneByteReader(strings.NewReader(text.String())))
		if diff := cmp.Diff(wantIndex, index); diff != "" {
			t.Fatalf("round %d: -want +got\n%s", round, diff)
		}
		if !slices.Equal(pieces, wantPieces) {
			t.Fatalf("round %d: the pieces differ", round)
		}
	}
}
