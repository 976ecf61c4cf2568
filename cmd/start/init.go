package start

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/help"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runtimes"
	"github.com/buildlocal/buildlocal/starter"
)

// InitOptions are the flags and arguments of init.
type InitOptions struct {
	Dir    string
	Format string // text or json
}

// NewInit returns the command init.
func NewInit(a *cli.App, runF cli.RunF[InitOptions]) *cobra.Command {
	o := &InitOptions{Dir: "."}
	c := &cobra.Command{
		Use: "init [DIR]", Short: "Write a buildspec for a directory",
		Long: "Write buildspec.yml with the usual commands of the languages in the directory, which are\n" +
			"recognized by the files of their package managers. An existing buildspec is not changed.",
		Annotations: help.Notes("Exit codes: 0 success, 2 usage error, 3 there is a buildspec, 4 it cannot be written."),
		Example:     "  buildlocal init\n  buildlocal init ../service",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return cli.Usagef("%s takes one directory, got %q", c.CommandPath(), args)
			}
			o.Dir = append(args, o.Dir)[0]
			return nil
		},
	}
	cli.AddFormat(c, &o.Format)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := cli.CheckFormat(o.Format); err != nil {
			return err
		}
		return runF.Or(a, initialize)(c.Context(), o)
	}
	return c
}

// detect returns the languages of a directory, with versions of the image that builds use
// without another one.
func detect(dir fs.FS) []starter.Part {
	offered := starter.Runtimes{}
	for name, r := range runtimes.Curated(console.ShortImage(project.DefaultImage(runtime.GOARCH))) {
		offered[name] = r.Keys()
	}
	return starter.Detect(dir, offered)
}

// foundFiles returns the files by which languages were recognized.
func foundFiles(parts []starter.Part) []string {
	var all []string
	for _, p := range parts {
		all = append(all, p.Files...)
	}
	return all
}

// initialize writes the buildspec of a directory.
func initialize(ctx context.Context, a *cli.App, o *InitOptions) error {
	if info, err := os.Stat(o.Dir); err != nil || !info.IsDir() {
		return cli.Usagef("%s is not a directory", o.Dir)
	}
	name := filepath.Join(o.Dir, local.DefaultBuildspec)
	parts := detect(os.DirFS(o.Dir))
	text := starter.Buildspec(parts)
	// The permissions of the directory and the disk decide, and nothing is overwritten.
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return local.NewInputError(fmt.Errorf(
			"%s exists\ncheck it with buildlocal validate, or run it with buildlocal run", name))
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(name)) // a part of it would keep init from writing it
	}
	spec, problems := buildspec.Parse(name, []byte(text))
	problems = a.Check(ctx, spec, problems, local.Against{Root: o.Dir})
	if o.Format == cli.FormatJSON {
		return a.WriteJSON(initResult(name, parts, problems))
	}
	return printInit(a, name, parts, problems)
}

// printInit prints the contents of the buildspec by phase, and the next step.
func printInit(a *cli.App, name string, parts []starter.Part, problems diag.List) error {
	s := a.Screen()
	if len(parts) == 0 {
		s.Printf("wrote %s with one command to replace: no package manager's files were found in this directory", name)
	}
	for i, p := range parts {
		verb := "wrote " + name + " for "
		if i > 0 {
			verb = "and for "
		}
		s.Printf("%s%s (%s)", verb, p.Language, strings.Join(p.Files, ", "))
		t := console.Table{Columns: []console.Column{{}, {Fit: console.FitText}, {}}, NoHead: true}
		add := func(title string, values []string, why string) {
			if len(values)+len(why) > 0 {
				t.Add(console.Weak("  "+title), console.Plain(strings.Join(values, " · ")), console.Weak(why))
			}
		}
		add("install", p.Install, runtimeText(p))
		add("build", p.Build, "")
		add("artifacts", p.Artifacts, "")
		s.Table(t)
	}
	if len(problems) > 0 {
		s.Printf("%s", problems.Error())
		s.Printf("%s; next: buildlocal validate", human.Count(len(problems), "problem"))
		return s.Err()
	}
	s.Printf("no problems; next: buildlocal run")
	return s.Err()
}

// runtimeText describes the runtime of a language, such as `nodejs 20, from "engines"`.
func runtimeText(p starter.Part) string {
	switch {
	case p.Version == "":
		return ""
	case p.From == "":
		return p.Runtime + " " + p.Version
	}
	return fmt.Sprintf("%s %s, from %s", p.Runtime, p.Version, p.From)
}

// initResult returns the same facts for programs.
func initResult(name string, parts []starter.Part, problems diag.List) any {
	type language struct {
		Name      string   `json:"name"`
		Files     []string `json:"files"`
		Runtime   string   `json:"runtime,omitempty"`
		Version   string   `json:"runtimeVersion,omitempty"`
		Install   []string `json:"install"`
		Build     []string `json:"build"`
		Artifacts []string `json:"artifacts"`
	}
	all := []language{}
	for _, p := range parts {
		all = append(all, language{p.Language, p.Files, p.Runtime, p.Version, append([]string{}, p.Install...),
			append([]string{}, p.Build...), append([]string{}, p.Artifacts...)})
	}
	return map[string]any{"version": 1, "file": name, "languages": all, "problems": len(problems)}
}
