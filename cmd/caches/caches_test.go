package caches

import (
	"testing"

	"github.com/buildlocal/buildlocal/cmd/clitest"
	"github.com/buildlocal/buildlocal/local"
)

func TestNewCmd_Flags(t *testing.T) {
	t.Parallel()
	usual, err := local.CacheSize(local.DefaultCacheSize)
	if err != nil {
		t.Fatal(err)
	}
	none := []string{}
	clitest.Flags(t, NewCmd, func(o *Options) any { return *o }, []clitest.Case{
		{Args: "", Want: Options{Format: "text", Names: none}},
		{Args: "ls --cache /c", Want: Options{Format: "text", Dir: "/c", Names: none}},
		{Args: "--cache /c ls", Want: Options{Format: "text", Dir: "/c", Names: none}},
		{Args: "info shop/1", Want: Options{Format: "text", Names: []string{"shop/1"}}},
		{Args: "rm shop/1 shop/2", Want: Options{Format: "text", Names: []string{"shop/1", "shop/2"}}},
		{Args: "prune", Want: Options{Format: "text", Names: none, Size: usual}},
		{Args: "prune --size 500MB", Want: Options{Format: "text", Names: none, Size: 500e6}},
		{Args: "prune --size 0", Want: Options{Format: "text", Names: none}},

		{Args: "x", Err: "unknown command x"},
		{Args: "ls x", Err: "takes no arguments"},
		{Args: "ls --size 1GB", Err: "unknown flag --size"},
		{Args: "info", Err: "requires the name of one cache"},
		{Args: "info a b", Err: "requires the name of one cache"},
		{Args: "rm", Err: "requires the name of a cache"},
		{Args: "prune --size many", Err: "--size many: not a size"},
		{Args: "--cache s3://bucket/x", Err: "is a bucket"},
		{Args: "rm --cache s3://bucket a", Err: "is a bucket"},
	})
}
