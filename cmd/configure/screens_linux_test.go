package configure

import (
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/clitest"
)

func TestPrintValues_Screens(t *testing.T) {
	clitest.Screens(t, "config", func(a *cli.App) error {
		return printValues(a, &ConfigOptions{}, []Value{
			{Name: "timeout", Values: []string{"60m"}, Origin: "default"},
			{Name: "image", Values: []string{"node:22"}, Origin: ".buildlocal.yml:3", set: true},
			{Name: "env", Values: []string{"STAGE=", strings.Repeat("AND_A_LONG_NAME= ", 12) + "LAST="},
				Origin: ".buildlocal.yml:4", set: true},
			{Name: "cache", Values: []string{"~/.cache/buildlocal/cache"}, Origin: "default"},
			{Name: "zip", Values: []string{"false"}, Origin: "default"},
		})
	})
}
