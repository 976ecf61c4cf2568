// Package secret has the command secrets: list and check the secrets of a build, and write
// a template of the secrets file. No subcommand prints a value.
package secret

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/secrets"
)

// Options are the flags of the subcommands of secrets: those of run that say which secrets
// a build needs, and where their values are.
type Options struct{ settings.Flags }

// work does the work of a subcommand for the needed values of a build.
type work func(ctx context.Context, a *cli.App, o *Options, in *local.Inputs, all []needed) error

// NewCmd returns the command secrets.
func NewCmd(a *cli.App, runF cli.RunF[Options]) *cobra.Command {
	c := &cobra.Command{
		Use: "secrets", Short: "List, check and fill in secrets a build needs", Args: cli.NoArgs,
		Long: "Manage values that a buildspec or project takes from Parameter Store or Secrets\n" +
			"Manager. They are looked up in this order: -e and --env-file, the secrets file\n" +
			"(--secrets), then AWS if enabled by --aws, --profile, --assume-role or\n--aws-credentials.",
		Example: "  buildlocal secrets\n  buildlocal secrets check --profile dev\n  buildlocal secrets init",
	}
	// From the safest to the one that writes.
	list := newSub(a, runF, listSecrets)
	c.Flags().SortFlags = false
	c.Flags().AddFlagSet(list.Flags())
	c.RunE = list.RunE
	list.Use, list.Aliases, list.Short = "ls", []string{"list"}, "List the secrets a build needs and where each is found"
	list.Long = "List the secrets a build needs and where each is found. Values are not printed, AWS\n" +
		"is not contacted and !cmd entries are not run."
	check := newSub(a, runF, checkSecrets)
	check.Use, check.Short = "check", "Look up all secrets and report missing ones"
	check.Long = "Look up each secret as run does, without starting a build. Values are not printed.\n\n" +
		"Exit codes: 0 all found, 1 missing or access denied, 4 AWS cannot be reached."
	write := newSub(a, runF, initSecrets)
	write.Use, write.Short = "init", "Write a template of the secrets file"
	write.Long = "Write a secrets file with an empty entry for each secret the build needs, readable\n" +
		"only by you. An existing file is not changed."
	for _, sub := range []*cobra.Command{list, check, write} {
		const examples = "  buildlocal secrets %[1]s\n  buildlocal secrets %[1]s -C ../service --project project.json"
		sub.Example = fmt.Sprintf(examples, sub.Use)
		c.AddCommand(sub)
	}
	return c
}

// newSub returns a subcommand without a name. All have the same flags, so the command line
// of check can be repeated with init after it reported missing values.
func newSub(a *cli.App, runF cli.RunF[Options], do work) *cobra.Command {
	o := &Options{}
	c := &cobra.Command{Args: cli.NoArgs}
	c.Flags().SortFlags = false
	o.AddSome(
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
	c.Flags().StringVar(&o.Format, "format", cli.FormatText, "print secrets as `FORMAT`: text or json")
	o.SetFormats([]string{cli.FormatText, cli.FormatJSON})
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := o.Settle(c.Context(), a, c); err != nil {
			return err
		}
		if o.Format == cli.FormatJSON && (c.Name() == "check" || c.Name() == "init") {
			return cli.Usagef("secrets %s: no --format json; use text", c.Name())
		}
		load := a.Load
		if c.Name() == "init" { // the secrets file that --secrets names does not exist yet
			load = a.LoadWithoutSecrets
		}
		run := func(ctx context.Context, a *cli.App, o *Options) error {
			in, err := load(ctx, &o.Request)
			if in != nil {
				defer in.Close()
			}
			if err != nil {
				return o.Explain(err)
			}
			plan, err := in.Plan()
			if err != nil {
				return err
			}
			printWarnings(a, o, in.Problems)
			return do(ctx, a, o, in, neededBy(plan))
		}
		return runF.Or(a, run)(c.Context(), o)
	}
	return c
}

// needed is a variable whose value is in a store, or would be if it were not overridden.
type needed struct {
	variable string
	request  secrets.Request
	given    string // origin of another value for it, such as -e; "" if the store is asked
}

// printWarnings prints the warnings about the secrets file: git does not ignore it. Those
// about the buildspec are left to validate and run.
func printWarnings(a *cli.App, o *Options, all diag.List) {
	for _, p := range all {
		if p.File == o.SecretsFile() {
			fmt.Fprintln(a.Stderr, p)
		}
	}
}

// neededBy returns the needed variables of a plan, sorted by name. An overridden variable
// is listed too: the build in CodeBuild needs its value.
func neededBy(plan *runner.Plan) []needed {
	var all []needed
	for _, v := range plan.Variables {
		switch { // other variables have their values in the plan
		case v.Stored != nil:
			all = append(all, needed{v.Name, *v.Stored, ""})
		case v.Replaced != nil:
			all = append(all, needed{v.Name, *v.Replaced, v.Origin})
		}
	}
	slices.SortFunc(all, func(a, b needed) int { return strings.Compare(a.variable, b.variable) })
	return all
}

// shownSecret is a variable with its store, in text and in JSON.
type shownSecret struct {
	Name   string  `json:"name"`
	Store  string  `json:"store"`
	Key    string  `json:"key"`
	From   *string `json:"from"` // place of the value; null if it is missing
	Result string  `json:"result,omitempty"`
}

// missing is the origin of a value that is in no place which may be asked.
const missing = "missing"

// listSecrets prints each variable with the place that its value would come from. It is
// quick and safe: no store is asked and no command is run.
func listSecrets(_ context.Context, a *cli.App, o *Options, in *local.Inputs, all []needed) error {
	shown := []shownSecret{}
	var absent []string
	for _, n := range all {
		s := shownSecret{Name: n.variable, Store: fmt.Sprint(n.request.Kind), Key: n.request.Ref}
		if from := cmp.Or(n.given, in.SecretOrigin(n.request)); from != missing {
			s.From = &from
		} else {
			absent = append(absent, n.variable)
		}
		shown = append(shown, s)
	}
	if o.Format == cli.FormatJSON {
		return a.WriteJSON(map[string]any{"version": 1, "secrets": shown})
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(a.Stdout, noNeeds)
		return err
	}
	if err := writeTable(a, shown); err != nil || len(absent) == 0 {
		return err
	}
	footer := a.Footer()
	footer.Printf("%s", fmt.Sprintf("%d of %d %s missing", len(absent), len(all), human.Plural(len(absent), "is", "are")))
	footer.Paragraph("-e "+absent[0]+"=VALUE, or buildlocal secrets init, or --aws to ask AWS", console.Accent("hint:"))
	return footer.Err()
}

// noNeeds is the output for a build without such values, which is a success.
const noNeeds = "the build needs no values from Parameter Store or Secrets Manager"

// writeTable writes a line for each variable: its name, store, key, and where its value is, or
// the result of the look-up.
func writeTable(a *cli.App, all []shownSecret) error {
	t := console.Table{Columns: []console.Column{
		{Title: "NAME"}, {Title: "STORE"}, {Title: "KEY", Fit: console.FitPath}, {Title: "FROM", Fit: console.FitText},
	}}
	for _, s := range all {
		from := console.Bad(missing)
		if s.From != nil {
			from = console.Plain(*s.From)
		}
		if s.Result != "" {
			from = console.Plain(s.Result)
		}
		t.Add(console.Strong(s.Name), console.Weak(s.Store), console.Plain(s.Key), from)
	}
	screen := a.Screen()
	screen.Table(t)
	return screen.Err()
}

// checkSecrets looks each value up as a build does, all at once, and prints the result
// without the value.
func checkSecrets(ctx context.Context, a *cli.App, _ *Options, in *local.Inputs, all []needed) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(a.Stdout, noNeeds)
		return err
	}
	var requests []secrets.Request
	for _, n := range all {
		if n.given == "" {
			requests = append(requests, n.request)
		}
	}
	// A !cmd entry may wait for the user, for example to touch a security key.
	const slowLookupNotice = 2 * time.Second
	slow := time.AfterFunc(slowLookupNotice, func() { fmt.Fprintln(a.Stderr, "looking up values") })
	results := in.Stores().Lookup(ctx, requests)
	slow.Stop()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	next := 0 // results have the order of requests, which leave out given values
	shown := make([]shownSecret, len(all))
	for i, n := range all {
		shown[i] = shownSecret{Name: n.variable, Store: fmt.Sprint(n.request.Kind), Key: n.request.Ref,
			Result: "ok, from " + n.given}
		if n.given == "" {
			shown[i].Result = verdictOf(results[next])
			next++
		}
	}
	if err := writeTable(a, shown); err != nil {
		return err
	}
	// Resolve decides about the exit code: it has the rules of a build for missing values.
	_, err := secrets.Resolve(ctx, knownResults(results), requests)
	// A Failure alone means missing or refused values. Joined with other errors it is not of
	// this type, and those have another exit code.
	failure, only := err.(*secrets.Failure)
	if !only {
		return err // nil, or AWS or a command failed
	}
	a.PrintError(fmt.Errorf("%s\n%s", failure.Reason, failure.Hint))
	return cli.ExitError{Code: cli.ExitFailed}
}

// verdictOf describes the result of a look-up on one line. An empty value is pointed out: it
// is valid, but often a forgotten entry.
func verdictOf(r secrets.Result) string {
	switch {
	case r.Missing():
		return "missing"
	case errors.Is(r.Err, secrets.ErrRefused):
		return strings.Join(strings.Fields(r.Reason()), " ")
	case r.Err != nil:
		return "cannot be looked up" // the error follows the table
	case r.Value.Empty():
		return "ok, empty, from " + r.From
	}
	return "ok, from " + r.From
}

// knownResults is a store with results of an earlier look-up, so nothing is looked up twice.
type knownResults []secrets.Result

// Lookup returns the results.
func (k knownResults) Lookup(context.Context, []secrets.Request) []secrets.Result { return k }

// initSecrets writes a secrets file without values.
func initSecrets(ctx context.Context, a *cli.App, o *Options, in *local.Inputs, all []needed) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(a.Stdout, noNeeds)
		return err
	}
	name := o.SecretsFile() // of --secrets, or the default one
	below, inside := local.RelativeTo(filepath.Join(o.Source.Dir, local.OutputName), name)
	if inside && below == local.SecretsName {
		// The default place is the output directory. Preparing it writes a .gitignore, so the
		// secrets cannot be committed by mistake.
		if err := in.Builds.Prepare(); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	// The permissions are set from the beginning: between writing and chmod others could read.
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) { // it has values, which nothing may overwrite
		return cli.Usagef("%s already exists; buildlocal secrets shows missing values", name)
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString(secretsTemplate(all))
	// A full disk may be noticed by Close only.
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(name)) // half a template would keep init from writing it
	}
	flag := "" // so that the command in the message works
	if o.Secrets.File != "" {
		flag = " --secrets " + o.Secrets.File
	}
	fmt.Fprintf(a.Stdout, "wrote %s: fill in the values; buildlocal secrets check%s reports missing ones\n", name, flag)
	// --secrets may name a file that git does not ignore, or even tracked and then removed.
	warnings, err := local.CheckSecretsFile(ctx, name)
	printWarnings(a, o, warnings)
	return err
}
