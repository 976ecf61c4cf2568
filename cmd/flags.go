package cmd

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/lint"
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
	standIn     []string
	imageDigest string
	env         []string
	envFiles    []string
	overrides   []string
	project     string
	projectName string
	privileged  bool
	docker      string
	engine      string
	computeType string
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
	ignore      []string
	strict      bool
	artifacts   []string
	zip         bool
	cache       string
	noCache     bool
	fullReports bool
	cacheSize   string

	secrets        string
	aws            bool
	profile        string
	assumeRole     string
	awsCredentials bool
	gitCredentials bool
	metadata       bool
	maskEncoded    bool
	caBundle       string
	exportedEnv    string

	noConfig bool

	home    string            // the user's; may be empty
	root    bool              // root runs it
	native  string            // platform of this machine
	formats []string          // what format may be
	user    *config.File      // the user's own; nil for none
	file    *config.File      // beside the source; nil for none
	trusted bool              // the user trusts the file beside the source
	texts   map[string][]byte // of the files that it names, as they were looked at for that
	origins map[string]origin // flag to where its value came from
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
		return errors.New("expected a duration such as 90s or 45m, or a number of minutes")
	}
	if *m <= 0 {
		return errors.New("expected more than no time, such as 90s or 45m, or a number of minutes")
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
	c.Flags().SortFlags = false
	c.Flags().AddFlagSet(allRunFlags(f))
}

// addSomeRunFlags gives a command some of the flags of run.
func addSomeRunFlags(c *cobra.Command, f *runFlags, names ...string) {
	all := allRunFlags(f)
	for _, name := range names {
		c.Flags().AddFlag(all.Lookup(name))
	}
	c.Flags().AddFlag(all.Lookup("no-config"))
}

func isRunFlag(flag *pflag.Flag) bool {
	_, is := flag.Annotations[runAnnotation]
	return is
}

// settle gives every flag that was not set its value from a variable, else from
// the file beside the source, else from the user's file, and notes where each came
// from. A file beside the source that reaches the user is an error, unless the user
// trusts it.
func (f *runFlags) settle(a *App, c *cobra.Command) error {
	f.origins, f.home = map[string]origin{}, a.Home
	if err := f.readConfigs(a, c.Flags()); err != nil {
		return err
	}
	var errs []error
	c.Flags().VisitAll(func(flag *pflag.Flag) {
		if _, settled := f.origins[flag.Name]; !settled && flag.Name != "help" {
			errs = append(errs, f.settleOne(a, flag))
		}
	})
	errs = append(errs, f.checkTrust(a, c))
	if err := joined(errs); err != nil {
		return err
	}
	f.root, f.native = a.UID <= 0, "linux/"+runtime.GOARCH
	return f.check()
}

// readConfigs reads the user's file and the source's. What says where they are, and
// whether they count, is settled first.
func (f *runFlags) readConfigs(a *App, flags *pflag.FlagSet) error {
	known := fileKeys(allRunFlags(&runFlags{}))
	var err error
	if f.user, err = readUserConfig(a.userConfig(), append(known, "no-config")); err != nil {
		return err
	}
	if err := joined([]error{f.settleOne(a, flags.Lookup("source")), f.settleOne(a, flags.Lookup("no-config"))}); err != nil {
		return err
	}
	if f.noConfig {
		return nil
	}
	f.file, err = readSourceConfig(f.source, known)
	return err
}

// variableOf is the variable that holds a flag.
func variableOf(flag string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func (f *runFlags) settleOne(a *App, flag *pflag.Flag) error {
	name := variableOf(flag.Name)
	if flag.Changed {
		f.origins[flag.Name] = origin{kind: fromFlag, text: "flag"}
		return nil
	}
	if value, given := a.LookupEnv(name); given && value != "" {
		f.origins[flag.Name] = origin{kind: fromVariable, text: name}
		return f.set(flag, strings.Split(value, "\n"))
	}
	if e, given := f.file.Get(flag.Name); given && isRunFlag(flag) {
		return f.setFrom(flag, originIn(f.file, e, fromSource), f.source)
	}
	if e, given := f.user.Get(flag.Name); given && isRunFlag(flag) {
		return f.setFrom(flag, originIn(f.user, e, fromUser), filepath.Dir(f.user.Name))
	}
	f.origins[flag.Name] = origin{kind: fromDefault, text: "default"}
	return nil
}

// setFrom sets a flag from a file whose paths are seen from dir.
func (f *runFlags) setFrom(flag *pflag.Flag, from origin, dir string) error {
	f.origins[flag.Name] = from
	values := from.entry.Texts()
	if flag.Value.Type() != "stringArray" && len(values) != 1 {
		return f.wrong(flag.Name, fmt.Sprintf("%d values; expected one", len(values)))
	}
	home := ""
	if from.kind == fromUser {
		home = f.home
	}
	return f.set(flag, beside{dir, home}.resolve(flag.Name, values))
}

// set sets a flag from what is no flag; one that may be repeated takes several
// values.
func (f *runFlags) set(flag *pflag.Flag, values []string) error {
	if flag.Value.Type() != "stringArray" {
		values = []string{strings.Join(values, "\n")}
	}
	for _, v := range values {
		if err := flag.Value.Set(plain(flag, v)); err != nil {
			return f.wrong(flag.Name, expected(flag, v, err))
		}
	}
	return nil
}

// plain takes yes and no, on and off for a flag that is true or false.
func plain(flag *pflag.Flag, value string) string {
	if flag.Value.Type() != "bool" {
		return value
	}
	switch strings.ToLower(value) {
	case "yes", "on":
		return "true"
	case "no", "off":
		return "false"
	}
	return value
}

func expected(flag *pflag.Flag, value string, err error) string {
	switch flag.Value.Type() {
	case "bool":
		return fmt.Sprintf("invalid value %q; expected true or false", value)
	case "int":
		return fmt.Sprintf("invalid value %q; expected a number", value)
	}
	return fmt.Sprintf("invalid value %q; %v", value, err)
}

// wrong returns the error for a flag's value, with where the value came from: a
// mistake of the command line, or of a file.
func (f *runFlags) wrong(name, message string) error {
	from := f.origins[name]
	switch from.kind {
	case fromSource, fromUser:
		return diag.List{from.file.Problem(from.entry, name+": "+message)}
	case fromVariable:
		return usagef("%s: %s", from.text, message)
	}
	return usagef("--%s: %s", name, message)
}

// joined returns several errors as one: mistakes of the command line first, then
// problems of files as one list, then what is not trusted.
func joined(errs []error) error {
	var problems diag.List
	var refused *untrusted
	var rest []error
	for _, err := range errs {
		var list diag.List
		switch {
		case errors.As(err, &refused):
		case errors.As(err, &list):
			problems = append(problems, list...)
		case err != nil:
			rest = append(rest, err)
		}
	}
	problems.Sort()
	if len(problems) > 0 {
		rest = append(rest, problems)
	}
	if refused != nil {
		rest = append(rest, refused)
	}
	if len(rest) == 1 {
		return rest[0]
	}
	return errors.Join(rest...)
}

// check refuses values of flags that are none.
func (f *runFlags) check() error {
	return joined([]error{
		f.oneOf("engine", f.engine, "auto", "docker", "sandbox", "host"),
		f.oneOf("docker", f.docker, "nested", "socket"),
		f.oneOf("pull", f.pull, "always", "missing", "never"),
		f.oneOf("format", f.format, f.formats...),
		f.wrongComputeType(),
		f.wrongImages(),
		f.wrongIgnores(),
		f.wrongCache(),
		f.contradictions(),
	})
}

// wrongIgnores tells names that are no check's, or that of an error.
func (f *runFlags) wrongIgnores() error {
	for _, name := range f.ignore {
		if message := lint.WrongIgnore(name); message != "" {
			return f.wrong("ignore", fmt.Sprintf("invalid value %q: %s", name, message))
		}
	}
	return nil
}

// wrongCache refuses an invalid size, and a place for a cache that is switched off.
func (f *runFlags) wrongCache() error {
	if _, err := cacheSize(f.cacheSize); err != nil {
		return f.wrong("cache-size", err.Error())
	}
	if f.noCache && f.cache != "" {
		return f.wrong("no-cache", "cannot be combined with --cache")
	}
	return nil
}

func (f *runFlags) contradictions() error {
	switch {
	case f.quiet && f.verbose:
		return f.wrong("quiet", "cannot be combined with --verbose")
	case f.keepBuilds < 1:
		return f.wrong("keep-builds", fmt.Sprintf("invalid value %d; expected 1 or more", f.keepBuilds))
	case f.engine == "host" && f.image != "":
		return f.wrong("image", f.image+" cannot be combined with --engine host, which has no images")
	case f.engine == "docker" && isLocalImage(f.image):
		return f.wrong("image", f.image+" cannot be used with --engine docker; omit --engine, or load it with docker load")
	case f.daemonless() && f.docker == "socket":
		return f.wrong("docker", "socket requires --engine docker")
	case f.docker == "nested" && !f.privileged && f.origins["docker"].kind == fromFlag:
		return f.wrong("docker", "nested requires --privileged")
	case f.keep && f.docker == "socket":
		return f.wrong("keep", "cannot be combined with --docker socket, which ends with buildlocal")
	case f.daemonless() && f.keep:
		return f.wrong("keep", "cannot be combined with --engine "+f.engine+", which has no containers")
	case f.daemonless() && f.platform != "" && f.platform != f.native:
		return f.wrong("platform", f.platform+" requires --engine docker; the engine "+f.engine+" runs only "+f.native)
	case f.daemonless() && f.privileged && !f.root:
		return f.wrong("privileged", "requires root with --engine "+f.engine+"; run as root, or use --engine docker")
	case f.assumeRole != "" && !roleForm().MatchString(f.assumeRole):
		return f.wrong("assume-role", fmt.Sprintf("invalid value %q; expected the ARN of a role, such as arn:aws:iam::123456789012:role/NAME", f.assumeRole))
	case f.platform != "" && !platformForm().MatchString(f.platform):
		return f.wrong("platform", fmt.Sprintf("invalid value %q; expected OS/ARCHITECTURE, such as linux/amd64 or linux/arm64", f.platform))
	}
	return nil
}

// daemonless reports whether an engine without a daemon is asked for.
func (f *runFlags) daemonless() bool { return f.engine == "host" || f.engine == "sandbox" }

var platformForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?$`)
})

func (f *runFlags) oneOf(name, value string, known ...string) error {
	for _, k := range known {
		if value == k {
			return nil
		}
	}
	return f.wrong(name, fmt.Sprintf("invalid value %q%s (expected %s)", value, diag.DidYouMean(value, known), strings.Join(known, ", ")))
}

// unknownFlag is how pflag tells a flag it does not know.
var unknownFlag = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^unknown (?:shorthand )?flag: '?-*([a-zA-Z0-9-]+)`)
})

// badArgument is how pflag tells a value it cannot use.
var badArgument = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^invalid argument "(.*)" for "(?:-\w, )?--([a-z-]+)" flag: (.*)$`)
})

// flagError adds a suggestion to what is wrong with a flag.
func flagError(c *cobra.Command, err error) error {
	if m := badArgument().FindStringSubmatch(err.Error()); m != nil {
		flag := c.Flags().Lookup(m[2])
		return usagef("--%s: %s", m[2], expected(flag, m[1], errors.New(m[3])))
	}
	m := unknownFlag().FindStringSubmatch(err.Error())
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
