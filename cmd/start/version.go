package start

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/internal/human"
)

// NewVersion returns the command version.
func NewVersion(a *cli.App) *cobra.Command {
	format := ""
	c := &cobra.Command{
		Use: "version", Short: "Print the version", Args: cli.NoArgs,
		Example: "  buildlocal version\n  buildlocal version --format json",
	}
	cli.AddFormat(c, &format)
	c.RunE = func(*cobra.Command, []string) error {
		if err := cli.CheckFormat(format); err != nil {
			return err
		}
		v := versionOf(a.Version)
		if format == cli.FormatJSON {
			return a.WriteJSON(v)
		}
		return PrintVersion(a)
	}
	return c
}

// version describes this program. Commit and date are left out if it was not built in a
// repository.
type version struct {
	JSON    int    `json:"version"`
	Version string `json:"buildlocalVersion"`
	Commit  string `json:"commit,omitempty"`
	Date    string `json:"commitDate,omitempty"` // YYYY-MM-DD
	System  string `json:"system"`
	Go      string `json:"goVersion"`
}

func versionOf(name string) version {
	v := version{JSON: 1, Version: name, System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	info, known := debug.ReadBuildInfo()
	if !known {
		return v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Date, _, _ = strings.Cut(s.Value, "T")
		}
	}
	return v
}

// PrintVersion prints the version in one line: "buildlocal 1.2.3 (1a2b3c4, 2026-11-29),
// linux/amd64, go1.26".
func PrintVersion(a *cli.App) error {
	v := versionOf(a.Version)
	commit := ""
	if v.Commit != "" {
		commit = fmt.Sprintf(" (%s, %s)", human.ShortCommit(v.Commit), v.Date)
	}
	_, err := fmt.Fprintf(a.Stdout, "buildlocal %s%s, %s, %s\n", v.Version, commit, v.System, v.Go)
	return err
}
