package snapshot

import (
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/cmd/clitest"
)

func TestNewCmd_Flags(t *testing.T) {
	t.Parallel()
	none := []string{}
	clitest.Flags(t, NewCmd, func(o *Options) any { return *o }, []clitest.Case{
		{Args: "", Want: Options{Format: "text", IDs: none, Older: week}},
		{Args: "ls --format json", Want: Options{Format: "json", IDs: none, Older: week}},
		{Args: "rm a b", Want: Options{Format: "text", IDs: []string{"a", "b"}, Older: week}},
		{Args: "prune --all", Want: Options{Format: "text", IDs: none, All: true, Older: week}},
		{Args: "prune --older-than 2h", Want: Options{Format: "text", IDs: none, Older: 2 * time.Hour}},

		{Args: "x", Err: "unknown command x"},
		{Args: "rm", Err: "requires the ID of a snapshot"},
		{Args: "prune x", Err: "takes no arguments"},
		{Args: "prune --older-than soon", Err: "soon"},
	})
}
