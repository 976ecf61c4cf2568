package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/secrets"
)

func newSecrets(a *App) *cobra.Command {
	c := &cobra.Command{
		Use: "secrets", Short: "List, check and fill in secrets a build needs", Args: noArgs,
		Long: "Manage values that a buildspec or project takes from Parameter Store or Secrets\n" +
			"Manager. They are looked up in this order: -e and --env-file, the secrets file\n" +
			"(--secrets), then AWS if enabled by --aws, --profile, --assume-role or\n--aws-credentials.",
		Example: "  buildlocal secrets list\n  buildlocal secrets check --profile dev\n  buildlocal secrets init",
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(
		a.secretsCommand("list", "List the secrets a build needs and where each is found",
			"List the secrets a build needs and where each is found. Values are not printed, AWS\n"+
				"is not contacted and !cmd entries are not run.",
			(*App).listSecrets),
		a.secretsCommand("check", "Look up all secrets and report missing ones",
			"Look up each secret as run does, without starting a build. Values are not printed.\n\n"+
				"Exit codes: 0 all found, 1 missing or access denied, 4 AWS cannot be reached.",
			(*App).checkSecrets),
		a.secretsCommand("init", "Write a template of the secrets file",
			"Write a secrets file with an empty entry for each secret the build needs, readable\n"+
				"only by you. An existing file is not changed.",
			(*App).initSecrets),
	)
	return c
}

// needed is one variable whose value stands in a store, or would.
type needed struct {
	variable string
	need     secrets.Request
	given    string // what gives another value for it; empty where the store is asked
}

// secretsCommand is one that begins with what a build needs.
func (a *App) secretsCommand(use, short, long string, do func(*App, context.Context, *runFlags, *found, []needed) error) *cobra.Command {
	f := &runFlags{}
	c := &cobra.Command{
		Use: use, Short: short, Long: long, Args: noArgs,
		Example: fmt.Sprintf("  buildlocal secrets %[1]s\n  buildlocal secrets %[1]s -C ../service --project project.json", use),
	}
	c.Flags().SortFlags = false
	addSomeRunFlags(c, f, "source", "buildspec", "project", "project-name", "env", "env-file", "env-override", "secrets", "aws", "profile", "assume-role", "aws-credentials", "region")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := f.settle(a, c); err != nil {
			return err
		}
		g, err := a.read(c.Context(), f, func(g *found) []reader {
			parts := []reader{g.readSource, g.readProject, g.readEnv, g.readBuildspec, g.readSecrets, g.readAccount}
			if use == "init" { // the file is yet to be written
				return parts[:4]
			}
			return parts
		})
		if g != nil {
			defer g.remove()
		}
		if err != nil {
			return err
		}
		plan, err := g.plan(a, f, runner.Identity{})
		if err != nil {
			return err
		}
		a.warnOfSecrets(f, g)
		return do(a, c.Context(), f, g, neededBy(plan))
	}
	return c
}

// warnOfSecrets tells what is odd about the file of secrets.
func (a *App) warnOfSecrets(f *runFlags, g *found) {
	for _, p := range g.problems {
		if p.File == f.secretsFile() {
			fmt.Fprintln(a.Stderr, p)
		}
	}
}

// neededBy returns the variables of a plan that stand in a store, or would, by name.
func neededBy(plan *runner.Plan) []needed {
	var all []needed
	for _, v := range plan.Variables {
		switch {
		case v.Stored != nil:
			all = append(all, needed{v.Name, *v.Stored, ""})
		case v.Replaced != nil:
			all = append(all, needed{v.Name, *v.Replaced, v.Origin})
		}
	}
	slices.SortFunc(all, func(a, b needed) int { return strings.Compare(a.variable, b.variable) })
	return all
}

// listSecrets prints each value with where it would come from.
func (a *App) listSecrets(_ context.Context, _ *runFlags, g *found, all []needed) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(a.Stdout, noNeeds)
		return err
	}
	return needsTable(a.Stdout, all, func(n needed) string { return g.from(n) })
}

const noNeeds = "The build needs no values from Parameter Store or Secrets Manager."

func needsTable(w io.Writer, all []needed, last func(needed) string) error {
	t := newTable(w)
	for _, n := range all {
		t.row(n.variable, n.need.Kind, n.need.Ref, last(n))
	}
	return t.flush()
}

// from says where a value would come from.
func (g *found) from(n needed) string {
	if n.given != "" {
		return n.given
	}
	if g.secrets != nil {
		if place, found := g.secrets.Where(n.need); found {
			return place
		}
	}
	if g.account == nil || !g.looksUp {
		return "missing"
	}
	return g.account.String()
}

// checkSecrets looks each value up.
func (a *App) checkSecrets(ctx context.Context, _ *runFlags, g *found, all []needed) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(a.Stdout, noNeeds)
		return err
	}
	var needs []secrets.Request
	for _, n := range all {
		if n.given == "" {
			needs = append(needs, n.need)
		}
	}
	const patience = 2 * time.Second
	slow := time.AfterFunc(patience, func() { fmt.Fprintln(a.Stderr, "Still looking up values.") })
	answers := g.stores().Lookup(ctx, needs)
	slow.Stop()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	next := 0
	err := needsTable(a.Stdout, all, func(n needed) string {
		if n.given != "" {
			return "ok, from " + n.given
		}
		answer := answers[next]
		next++
		if answer.Err != nil {
			return strings.Join(strings.Fields(verdictOf(answer)), " ")
		}
		if answer.Value.Empty() {
			return "ok, an empty text, from " + answer.From
		}
		return "ok, from " + answer.From
	})
	if err != nil {
		return err
	}
	_, err = secrets.Resolve(ctx, told(answers), needs)
	failure, only := err.(*secrets.Failure)
	if !only {
		return err // nil, or AWS or a program could not be asked
	}
	fmt.Fprintf(a.Stderr, "buildlocal: %s\n%s\n", failure.Message, failure.Hint)
	return errFailed{exitFailed}
}

// verdictOf says why there is no value.
func verdictOf(a secrets.Result) string {
	switch {
	case a.Missing():
		return "missing"
	case errors.Is(a.Err, secrets.ErrRefused):
		return a.Reason()
	}
	return "cannot be looked up"
}

// told are answers that were given before.
type told []secrets.Result

// Lookup returns them again.
func (t told) Lookup(context.Context, []secrets.Request) []secrets.Result { return t }

// initSecrets writes a file of secrets without values.
func (a *App) initSecrets(ctx context.Context, f *runFlags, g *found, all []needed) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(a.Stdout, noNeeds)
		return err
	}
	name := f.secretsFile()
	if below, inside := relativeTo(filepath.Join(f.source, outputName), name); inside && below == secretsName {
		if err := g.store.Prepare(); err != nil { // it hides itself from git
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return usagef("%s already exists; buildlocal secrets list shows missing values", name)
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString(secretsTemplate(all))
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	flag := ""
	if f.secrets != "" {
		flag = " --secrets " + f.secrets
	}
	fmt.Fprintf(a.Stdout, "Wrote %s. Fill in the values; buildlocal secrets check%s reports missing values.\n", name, flag)
	_, err = g.guardSecrets(ctx, name)
	a.warnOfSecrets(f, g)
	return err
}
