package page

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/builds"
)

func TestCutLog_UsesRecordedStructureOnly(t *testing.T) {
	t.Parallel()
	const first = "[Container] Running command make\n"
	const printed = "[Container] Entering phase EVIL\n[Container] Running command evil\nlast\n\n"
	const second = "[Container] Running command true\n"
	log := first + printed + second + "\n"
	end := int64(len(first + printed))
	index, err := cutLog(strings.NewReader(log), builds.LogIndex{
		Commands: []builds.LogCommand{
			{Start: 0, End: end, Phase: "BUILD", Failed: true}, {Start: end, End: int64(len(log)), Phase: "POST_BUILD"},
		},
		Agent: []int64{0, end},
	}, func(int, []byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	want := logIndex{
		Blocks: []logBlock{{First: 0, Lines: 7}},
		Folds:  []fold{{Line: 0, Lines: 4, Bad: true, Phase: "BUILD"}, {Line: 5, Lines: 1, Phase: "POST_BUILD"}},
		Agent:  []int{0, 5},
	}
	if diff := cmp.Diff(want, index); diff != "" {
		t.Error(diff)
	}
	index, err = cutLog(strings.NewReader(log), builds.LogIndex{}, func(int, []byte) error { return nil })
	if err != nil || len(index.Folds)+len(index.Agent) > 0 {
		t.Errorf("without a recorded structure: %+v, %v", index, err)
	}
}
