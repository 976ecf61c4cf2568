package cmd

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/help"
)

// eachCommand calls do with every command of the program, including subcommands.
func eachCommand(t *testing.T, do func(t *testing.T, c *cobra.Command)) {
	t.Helper()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		t.Run(c.CommandPath(), func(t *testing.T) { do(t, c) })
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(&cli.App{}, nil))
}

// runError returns the error of a command line.
func runError(args ...string) error {
	root := newRoot(&cli.App{}, nil)
	root.SetArgs(args)
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	return root.Execute()
}

func TestCommands_AreConstructedUnderTheirName(t *testing.T) {
	for _, c := range commands {
		for _, args := range [][]string{{c.name}, {"--version", c.name, "--help"}} {
			subs := newRoot(&cli.App{}, args).Commands()
			if len(subs) != 1 || subs[0].Name() != c.name {
				t.Errorf("arguments %q: got %d commands, want %s alone", args, len(subs), c.name)
			}
		}
	}
	for _, args := range [][]string{nil, {"--help"}, {"help", "run"}, {"__complete", "run", "-"}, {"rnu"}} {
		if n := len(newRoot(&cli.App{}, args).Commands()); n != len(commands) {
			t.Errorf("arguments %q: got %d commands, want all %d", args, n, len(commands))
		}
	}
}

func TestUnknownCommand_SuggestsEachCommand(t *testing.T) {
	for _, path := range []string{"", "image", "cache", "secrets"} {
		root := newRoot(&cli.App{}, nil)
		parent, _, err := root.Find(strings.Fields(path))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range parent.Commands() {
			misspelt := c.Name() + "x"
			err := runError(append(strings.Fields(path), misspelt)...)
			group := strings.TrimSpace(path + " ")
			want := strings.ReplaceAll("unknown command GROUP "+misspelt+"; did you mean GROUP "+c.Name()+"?", "GROUP", group)
			want = strings.ReplaceAll(want, "  ", " ")
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s %s: got %v, want %s", path, misspelt, err, want)
			}
		}
	}
}

func TestUnknownCommand_Synonyms(t *testing.T) {
	for line, want := range map[string]string{
		"ls": "use builds, image ls or cache ls", "build": "use run", "start": "use run", "lint": "use validate",
		"check": "use validate", "history": "use builds", "clear": "use prune or cache prune",
		"cache clear": "use cache rm or cache prune", "cache delete": "use cache rm", "image delete": "use image rm",
		"secrets set": "use secrets init", "vaildate": "did you mean validate?",
		"xyzzy": "\nbuildlocal --help lists the commands",
	} {
		err := runError(strings.Fields(line)...)
		if err == nil || !strings.HasPrefix(err.Error(), "unknown command "+line) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
		if cli.ExitCode(err) != cli.ExitUsage {
			t.Errorf("%s: exit code %d", line, cli.ExitCode(err))
		}
	}
}

// TestList_BothNames makes sure that each group that lists has ls and list.
func TestList_BothNames(t *testing.T) {
	for _, group := range []string{"image", "cache", "secrets", "trust", "builds", "ps"} {
		for _, name := range []string{"ls", "list"} {
			c, rest, err := newRoot(&cli.App{}, nil).Find([]string{group, name})
			if err != nil || len(rest) > 0 || c.Name() == group {
				t.Errorf("%s %s: got %s %q, %v", group, name, c.CommandPath(), rest, err)
			}
		}
	}
}

func TestHelp_EachGroupHasAtMostTenFlags(t *testing.T) {
	eachCommand(t, func(t *testing.T, c *cobra.Command) {
		c.InitDefaultHelpFlag()
		var b bytes.Buffer
		help.UsageOfFlags(&b, c.LocalFlags())
		flags := 0
		for line := range strings.Lines(b.String()) {
			switch {
			case !strings.HasPrefix(line, " "):
				flags = 0
			case strings.HasPrefix(strings.TrimSpace(line[:7]), "-"): // other lines continue a description
				if flags++; flags > help.MaxPlainFlags {
					t.Errorf("a group has more than %d flags:\n%s", help.MaxPlainFlags, b.String())
				}
			}
		}
		c.LocalFlags().VisitAll(func(flag *pflag.Flag) {
			if !strings.Contains(b.String(), "--"+flag.Name) {
				t.Errorf("--%s is missing:\n%s", flag.Name, b.String())
			}
		})
	})
}

func TestHelp_EachCommandHasExamples(t *testing.T) {
	eachCommand(t, func(t *testing.T, c *cobra.Command) {
		if strings.HasPrefix(c.CommandPath(), "buildlocal trust ") {
			return // one argument at most, and shown by trust itself
		}
		if n := len(strings.Split(c.Example, "\n")); c.Example == "" || n < 2 || n > 4 {
			t.Errorf("%d examples; want 2 to 4:\n%s", n, c.Example)
		}
		var b bytes.Buffer
		c.SetOut(&b)
		if err := c.Help(); err != nil || !strings.Contains(b.String(), "\nExamples:\n  ") {
			t.Errorf("help %v without examples:\n%s", err, b.String())
		}
		examples := false // which are commands to paste
		for line := range strings.Lines(b.String()) {
			examples = line == "Examples:\n" || examples && line != "\n"
			if len(line)-1 > help.Width && !examples {
				t.Errorf("line of %d columns: %s", len(line)-1, line)
			}
		}
	})
}
