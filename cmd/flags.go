package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// configFile stands beside the source and holds flags of run.
const configFile = ".buildlocal.yml"

// variablePrefix begins the names of variables that hold flags of run.
const variablePrefix = "BUILDLOCAL_"

// runFlags are the flags of run and plan, as the user gave them.
type runFlags struct {
	source      string
	secondary   []string
	sourceMode  string
	buildspec   string
	image       string
	env         []string
	envFiles    []string
	project     string
	projectName string
	privileged  bool
	engine      string
	platform    string
	pull        string
	timeout     minutes
	output      string
	keepBuilds  int
	dryRun      bool
	format      string
	quiet       bool
	verbose     bool
	keep        bool
	region      string

	origins map[string]string // flag to where its value came from
}

// minutes is a duration that a bare number gives in minutes, as in the service.
type minutes time.Duration

// Set reads a Go duration or a number of minutes.
func (m *minutes) Set(text string) error {
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		*m = minutes(n * float64(time.Minute))
	} else if d, err := time.ParseDuration(text); err == nil {
		*m = minutes(d)
	} else {
		return fmt.Errorf("%q is no duration; expected one such as 90s or 45m, or a number of minutes", text)
	}
	if *m <= 0 {
		return fmt.Errorf("%q is no time at all; expected one such as 90s or 45m, or a number of minutes", text)
	}
	return nil
}

// String returns the duration, or "" when none is set.
func (m *minutes) String() string {
	if *m == 0 {
		return ""
	}
	return time.Duration(*m).String()
}

// Type is the name of the value in the help.
func (m *minutes) Type() string { return "duration" }

func addRunFlags(c *cobra.Command, f *runFlags) {
	fs := c.Flags()
	fs.SortFlags = false
	fs.StringVarP(&f.source, "source", "C", ".", "directory of the primary source")
	fs.StringArrayVar(&f.secondary, "secondary-source", nil, "a secondary source, `ID=DIR`; may be repeated")
	fs.StringVar(&f.sourceMode, "source-mode", "", "what the build sees: worktree (what git does not ignore; default in a repository), commit[=REF], all")
	fs.StringVarP(&f.buildspec, "buildspec", "b", "", "a path, a whole buildspec, or - for standard input (default buildspec.yml of the source)")
	fs.StringVarP(&f.image, "image", "i", "", "image to build in (default: the project's, or a curated one)")
	fs.StringArrayVarP(&f.env, "env", "e", nil, "variable `NAME=VALUE`, or NAME for this machine's; may be repeated")
	fs.StringArrayVar(&f.envFiles, "env-file", nil, "`FILE` of NAME=VALUE lines; may be repeated")
	fs.StringVar(&f.project, "project", "", "`FILE` with a CreateProject document, or what batch-get-projects prints")
	fs.StringVar(&f.projectName, "project-name", "", "name of the project (default: the document's, or the source directory's)")
	fs.BoolVar(&f.privileged, "privileged", false, "privileged mode, for docker inside the build")
	fs.StringVar(&f.engine, "engine", "auto", "auto, docker, sandbox or host")
	fs.StringVar(&f.platform, "platform", "", "platform of the image, such as linux/arm64")
	fs.StringVar(&f.pull, "pull", "missing", "when to pull the image: always, missing or never")
	fs.Var(&f.timeout, "timeout", "time limit, such as 90s or 45m; a number is minutes (default: the project's, or 60m)")
	fs.StringVarP(&f.output, "output", "o", "", "directory for what builds leave (default .buildlocal in the source)")
	fs.IntVar(&f.keepBuilds, "keep-builds", 20, "how many builds are kept in the output directory")
	fs.StringVar(&f.region, "region", "", "AWS region the build believes in (default AWS_REGION, AWS_DEFAULT_REGION, or us-east-1)")
	fs.BoolVar(&f.dryRun, "dry-run", false, "print what would happen, and start nothing")
	fs.StringVar(&f.format, "format", "text", "text, service (the log CodeBuild would write) or json (one event a line)")
	fs.BoolVarP(&f.quiet, "quiet", "q", false, "show only failures and the verdict")
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "show the agent's own lines too")
	fs.BoolVar(&f.keep, "keep", false, "keep the container after the build")
}

// settle gives every flag that was not set its value from a variable, else from
// the file beside the source, and notes where each came from.
func (f *runFlags) settle(a *App, c *cobra.Command) error {
	f.origins = map[string]string{}
	if err := f.settleOne(a, c.Flags().Lookup("source"), nil); err != nil {
		return err
	}
	file, err := readConfig(filepath.Join(f.source, configFile), c.Flags())
	if err != nil {
		return err
	}
	var errs []error
	c.Flags().VisitAll(func(flag *pflag.Flag) {
		if _, settled := f.origins[flag.Name]; !settled && flag.Name != "help" {
			errs = append(errs, f.settleOne(a, flag, file))
		}
	})
	return errors.Join(append(errs, f.check())...)
}

func (f *runFlags) settleOne(a *App, flag *pflag.Flag, file *config) error {
	name := variablePrefix + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
	if flag.Changed {
		f.origins[flag.Name] = "flag"
		return nil
	}
	if value, given := a.LookupEnv(name); given && value != "" {
		f.origins[flag.Name] = name
		if err := setAll(flag, strings.Split(value, "\n")); err != nil {
			return usagef("variable %s: %w", name, err)
		}
		return nil
	}
	if entry, given := file.get(flag.Name); given {
		f.origins[flag.Name] = fmt.Sprintf("%s:%d", file.name, entry.line)
		if err := setAll(flag, entry.values); err != nil {
			return diag.List{file.problem(entry, fmt.Sprintf("%s: %v", flag.Name, err))}
		}
		return nil
	}
	f.origins[flag.Name] = "default"
	return nil
}

// setAll sets a flag; one that may be repeated takes several values.
func setAll(flag *pflag.Flag, values []string) error {
	if flag.Value.Type() != "stringArray" && len(values) > 1 {
		values = []string{strings.Join(values, "\n")}
	}
	for _, v := range values {
		if err := flag.Value.Set(v); err != nil {
			return err
		}
	}
	return nil
}

// check refuses values of flags that are none.
func (f *runFlags) check() error {
	return errors.Join(
		oneOf("--engine", f.engine, "auto", "docker", "sandbox", "host"),
		oneOf("--pull", f.pull, "always", "missing", "never"),
		oneOf("--format", f.format, "text", "service", "json"),
		f.contradictions(),
	)
}

func (f *runFlags) contradictions() error {
	switch {
	case f.quiet && f.verbose:
		return usagef("--quiet and --verbose contradict each other; give one")
	case f.keepBuilds < 1:
		return usagef("--keep-builds is %d; expected 1 or more", f.keepBuilds)
	case f.engine == "sandbox" || f.engine == "host":
		return usagef("--engine %s is not yet built; use docker", f.engine)
	case f.platform != "" && !platformForm.MatchString(f.platform):
		return usagef("--platform is %q; expected OS/ARCHITECTURE, such as linux/amd64 or linux/arm64", f.platform)
	}
	return nil
}

var platformForm = regexp.MustCompile(`^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?$`)

func oneOf(name, value string, known ...string) error {
	for _, k := range known {
		if value == k {
			return nil
		}
	}
	return usagef("%s is %q%s; expected %s", name, value, diag.DidYouMean(value, known), strings.Join(known, ", "))
}

// config is the file beside the source.
type config struct {
	name    string
	lines   []string
	entries map[string]entry
}

type entry struct {
	values       []string
	line, column int
}

func (c *config) get(name string) (entry, bool) {
	if c == nil {
		return entry{}, false
	}
	e, found := c.entries[name]
	return e, found
}

func (c *config) problem(e entry, message string) diag.Problem {
	p := diag.Problem{File: c.name, Line: e.line, Column: e.column, Message: message}
	if e.line > 0 && e.line <= len(c.lines) {
		p.Excerpt = c.lines[e.line-1]
	}
	return p
}

// readConfig reads the file; there need not be one. Its keys are the flags.
func readConfig(name string, flags *pflag.FlagSet) (*config, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, usagef("read %s: %w", name, err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, diag.List{{File: name, Message: strings.TrimPrefix(err.Error(), "yaml: ") + "; expected lines such as image: NAME"}}
	}
	c := &config{name: name, lines: strings.Split(string(text), "\n"), entries: map[string]entry{}}
	if len(doc.Content) == 0 {
		return c, nil
	}
	return c, c.read(doc.Content[0], flags).Err()
}

func (c *config) read(root *yaml.Node, flags *pflag.FlagSet) diag.List {
	var problems diag.List
	if root.Kind != yaml.MappingNode {
		return diag.List{c.problem(entry{line: root.Line, column: root.Column}, "expected lines such as image: NAME")}
	}
	known := fileKeys(flags)
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		e := entry{line: key.Line, column: key.Column}
		at := sort.SearchStrings(known, key.Value)
		if at == len(known) || known[at] != key.Value {
			problems = append(problems, c.problem(e, fmt.Sprintf("unknown key %q%s (expected %s)", key.Value, diag.DidYouMean(key.Value, known), strings.Join(known, ", "))))
			continue
		}
		switch value.Kind {
		case yaml.ScalarNode:
			e.values = []string{value.Value}
		case yaml.SequenceNode:
			for _, item := range value.Content {
				e.values = append(e.values, item.Value)
			}
		default:
			problems = append(problems, c.problem(e, key.Value+" is a mapping; expected text or a list"))
		}
		c.entries[key.Value] = e
	}
	return problems
}

// fileKeys are the flags the file may hold: all but those that say where it is,
// or that make no sense for every run. They are sorted.
func fileKeys(flags *pflag.FlagSet) []string {
	var keys []string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && f.Name != "source" {
			keys = append(keys, f.Name)
		}
	})
	sort.Strings(keys)
	return keys
}

// unknownFlag is how pflag tells a flag it does not know.
var unknownFlag = regexp.MustCompile(`^unknown (?:shorthand )?flag: '?-*([a-zA-Z0-9-]+)`)

// flagError adds a suggestion to what is wrong with a flag.
func flagError(c *cobra.Command, err error) error {
	m := unknownFlag.FindStringSubmatch(err.Error())
	if m == nil {
		return usageError{err}
	}
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	suggestion := diag.Suggest(m[1], known)
	if suggestion != "" {
		suggestion = "; did you mean --" + suggestion + "?"
	}
	return usagef("%w%s (%s --help lists the flags)", err, suggestion, c.CommandPath())
}
