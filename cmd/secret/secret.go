// Package secret has the command secrets: list and check the secrets of a build, and write
// a template of the secrets file.
package secret

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

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/secrets"
)

// commands are the commands of an app.
type commands struct{ *cli.App }

// NewCmd returns the command secrets.
func NewCmd(app *cli.App) *cobra.Command {
	a := commands{app}
	c := &cobra.Command{
		Use: "secrets", Short: "List, check and fill in secrets a build needs", Args: cli.NoArgs,
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
			commands.listSecrets),
		a.secretsCommand("check", "Look up all secrets and report missing ones",
			"Look up each secret as run does, without starting a build. Values are not printed.\n\n"+
				"Exit codes: 0 all found, 1 missing or access denied, 4 AWS cannot be reached.",
			commands.checkSecrets),
		a.secretsCommand("init", "Write a template of the secrets file",
			"Write a secrets file with an empty entry for each secret the build needs, readable\n"+
				"only by you. An existing file is not changed.",
			commands.initSecrets),
	)
	return c
}

// needed is a variable whose value is in a store, or would be if it were not overridden.
type needed struct {
	variable string
	need     secrets.Request
	given    string // where another value for it comes from; "" if the store is asked
}

// secretsCommand returns a subcommand that works on the needed values of a build.
func (a commands) secretsCommand(
	use, short, long string,
	do func(commands, context.Context, *settings.Flags, *local.Inputs, []needed) error,
) *cobra.Command {
	f := &settings.Flags{}
	c := &cobra.Command{
		Use: use, Short: short, Long: long, Args: cli.NoArgs,
		Example: fmt.Sprintf(
			"  buildlocal secrets %[1]s\n  buildlocal secrets %[1]s -C ../service --project project.json",
			use,
		),
	}
	c.Flags().SortFlags = false
	f.AddSome(
		c,
		"source",
		"buildspec",
		"project",
		"project-name",
		"env",
		"env-file",
		"env-override",
		"secrets",
		"aws",
		"profile",
		"assume-role",
		"aws-credentials",
		"region",
	)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := f.Settle(c.Context(), a.App, c); err != nil {
			return err
		}
		load := a.Load
		if use == "init" { // the file does not exist yet
			load = a.LoadWithoutSecrets
		}
		in, err := load(c.Context(), &f.Request)
		if in != nil {
			defer in.Close()
		}
		if err != nil {
			return f.Explain(err)
		}
		plan, err := in.Plan()
		if err != nil {
			return err
		}
		a.printWarnings(f, in.Problems)
		return do(a, c.Context(), f, in, neededBy(plan))
	}
	return c
}

// printWarnings prints the warnings about the secrets file.
func (a commands) printWarnings(f *settings.Flags, all diag.List) {
	for _, p := range all {
		if p.File == f.SecretsFile() {
			fmt.Fprintln(a.Stderr, p)
		}
	}
}

// neededBy returns the needed variables of a plan, sorted by name.
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

// listSecrets prints each value with the place it would come from.
func (a commands) listSecrets(_ context.Context, _ *settings.Flags, g *local.Inputs, all []needed) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(a.Stdout, noNeeds)
		return err
	}
	return needsTable(a.Stdout, all, func(n needed) string { return origin(g, n) })
}

const noNeeds = "The build needs no values from Parameter Store or Secrets Manager."

func needsTable(w io.Writer, all []needed, last func(needed) string) error {
	t := cli.NewTable(w)
	for _, n := range all {
		t.Row(n.variable, n.need.Kind, n.need.Ref, last(n))
	}
	return t.Flush()
}

// origin describes where a value would come from.
func origin(in *local.Inputs, n needed) string {
	if n.given != "" {
		return n.given
	}
	return in.SecretOrigin(n.need)
}

// checkSecrets looks each value up, and prints the result without the value.
func (a commands) checkSecrets(ctx context.Context, _ *settings.Flags, g *local.Inputs, all []needed) error {
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
	const slowLookupNotice = 2 * time.Second
	slow := time.AfterFunc(slowLookupNotice, func() { fmt.Fprintln(a.Stderr, "Still looking up values.") })
	answers := g.Stores().Lookup(ctx, needs)
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
			return "ok, empty, from " + answer.From
		}
		return "ok, from " + answer.From
	})
	if err != nil {
		return err
	}
	_, err = secrets.Resolve(ctx, knownAnswers(answers), needs)
	failure, only := err.(*secrets.Failure)
	if !only {
		return err // nil, or AWS or a command failed
	}
	a.PrintError(fmt.Errorf("%s\n%s", failure.Message, failure.Hint))
	return cli.ExitError{Code: cli.ExitFailed}
}

// verdictOf returns the reason why a value was not found.
func verdictOf(a secrets.Result) string {
	switch {
	case a.Missing():
		return "missing"
	case errors.Is(a.Err, secrets.ErrRefused):
		return a.Reason()
	}
	return "cannot be looked up"
}

// knownAnswers is a store with answers that were looked up before.
type knownAnswers []secrets.Result

// Lookup returns the answers.
func (t knownAnswers) Lookup(context.Context, []secrets.Request) []secrets.Result { return t }

// initSecrets writes a secrets file without values.
func (a commands) initSecrets(ctx context.Context, f *settings.Flags, g *local.Inputs, all []needed) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(a.Stdout, noNeeds)
		return err
	}
	name := f.SecretsFile()
	if below, inside := local.RelativeTo(filepath.Join(f.Source.Dir, local.OutputName), name); inside &&
		below == local.SecretsName {
		if err := g.Builds.Prepare(); err != nil { // creates a .gitignore too
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return cli.Usagef("%s already exists; buildlocal secrets list shows missing values", name)
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString(secretsTemplate(all))
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	flag := ""
	if f.Secrets.File != "" {
		flag = " --secrets " + f.Secrets.File
	}
	fmt.Fprintf(a.Stdout, "Wrote %s. Fill in the values; buildlocal secrets check%s reports missing values.\n", name, flag)
	warnings, err := local.CheckSecretsFile(ctx, name)
	a.printWarnings(f, warnings)
	return err
}
