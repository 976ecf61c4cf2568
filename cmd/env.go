package cmd

import (
	"context"
	"fmt"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
)

// maxDocument is how many bytes a file has at most that the user names. What it is
// for has a limit of its own, which is lower and has a better message.
const maxDocument = 4 << 20

// readNamed reads a file that a flag names. One that the source's file names is read
// once: another reading could find something else than what was looked at.
func (f *runFlags) readNamed(ctx context.Context, flag, name string) ([]byte, error) {
	if text, read := f.texts[name]; read && f.fromSource(flag) {
		return text, nil
	}
	return regular.ReadNamed(ctx, name, maxDocument)
}

// readEnv reads the variables that are given when the build is started, the weakest
// first.
func (g *found) readEnv(ctx context.Context, a *App, f *runFlags) error {
	var problems diag.List
	lookup := a.LookupEnv
	if f.fromSource("env-file") && !f.trusted {
		lookup = nil // names alone were refused before; a file that was swapped since gets nothing
	}
	for _, name := range f.envFiles {
		text, err := f.readNamed(ctx, "env-file", name)
		if err != nil {
			return usagef("read the environment file: %w", err)
		}
		variables, wrong := project.ParseEnvFile(name, text, lookup)
		problems = append(problems, wrong...)
		g.overrides = append(g.overrides, runner.Override{Origin: name, Variables: variables})
	}
	g.problems = append(g.problems, problems...)
	if err := problems.Err(); err != nil {
		return err
	}
	for _, text := range f.overrides {
		variables, wrong := project.ParseOverride("--env-override", text)
		g.problems = append(g.problems, wrong...)
		if wrong.Failed() {
			return usageError{wrong}
		}
		g.overrides = append(g.overrides, runner.Override{Origin: "--env-override", Variables: variables})
	}
	var errs []error
	given := runner.Override{Origin: "-e"}
	for _, arg := range f.env {
		v, err := project.ParseEnvFlag(arg, a.LookupEnv)
		if err != nil {
			errs = append(errs, f.wrongEnv(err))
			continue
		}
		if project.ReservedName(v.Name) {
			g.problems = append(g.problems, diag.Problem{Severity: diag.Warning, Message: fmt.Sprintf("-e %s: names that begin with CODEBUILD_ are reserved; a value that CodeBuild sets takes precedence", v.Name)})
		}
		given.Variables = append(given.Variables, v)
	}
	g.overrides = append(g.overrides, given)
	return joined(errs)
}

// wrongEnv tells a variable that is none with where it was given.
func (f *runFlags) wrongEnv(err error) error {
	if f.origins["env"].kind == fromFlag {
		return usagef("-e: %w", err)
	}
	return f.wrong("env", err.Error())
}
