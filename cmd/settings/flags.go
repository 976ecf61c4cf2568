package settings

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/help"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/terminal"
	"github.com/buildlocal/buildlocal/local"
)

// setting returns an error about the value of a setting. Explain adds its place.
func setting(name, format string, args ...any) error {
	return &local.SettingError{Setting: name, Message: fmt.Sprintf(format, args...)}
}

// wrongValue returns the error about a value that a flag does not accept.
func wrongValue(flag *pflag.Flag, value string, err error) error {
	return &local.SettingError{Setting: flag.Name, Value: value, Message: cli.Expected(flag, err)}
}

// flagGroup is a topic of flags. It registers them for fields of a request, with the
// defaults of the fields.
type flagGroup struct {
	title    string
	register func(f *Flags, fs *pflag.FlagSet)
}

// flagGroups are all flags of run, in the order of the help. The names of the flags are
// also the keys of configuration files and, in upper case, those of variables. A topic has
// at most help.MaxPlainFlags flags, the most used ones first.
var flagGroups = []flagGroup{
	{"Source and project", registerSource},
	{"Image and engine", registerImage},
	{"Phases, time and resources", registerLimits},
	{"Network and files", registerAccess},
	{"Environment", registerVariables},
	{"Secrets and AWS", registerSecrets},
	{"Cache", registerCache},
	{help.OutputGroup, registerOutput},
	{help.DisplayGroup, registerDisplay},
	{help.ChecksGroup, registerChecks},
	{"Debugging", registerDebugging},
}

// all returns the flags of run, which fill f. Calling it resets f to the defaults.
func (f *Flags) all() *pflag.FlagSet {
	if f.formats == nil {
		f.formats = []string{"text", "service", "json"}
	}
	all := pflag.NewFlagSet("run", pflag.ContinueOnError)
	all.SortFlags = false
	for _, group := range flagGroups {
		fs := pflag.NewFlagSet(group.title, pflag.ContinueOnError)
		fs.SortFlags = false
		group.register(f, fs)
		fs.VisitAll(func(flag *pflag.Flag) {
			flag.Annotations = map[string][]string{runAnnotation: nil, help.GroupAnnotation: {group.title}}
			if t := flag.Value.Type(); t != "string" && t != "stringArray" { // those accept any text
				flag.Value = &deferredValue{Value: flag.Value}
			}
		})
		all.AddFlagSet(fs)
	}
	return all
}

func registerSource(f *Flags, fs *pflag.FlagSet) {
	o := &f.Source
	fs.StringVarP(&o.Dir, "source", "C", ".", "use `DIR` as the primary source")
	fs.StringVar(&o.Root, "source-root", "",
		"use a parent of DIR as the primary source: `ROOT` is repository (its top), or a path relative to DIR, such as ../.."+
			" (default: DIR itself)")
	fs.StringArrayVar(&o.Secondary, "secondary-source", nil, "add a secondary source as `ID=DIR`; repeatable")
	fs.StringVar(&o.Mode, "source-mode", "",
		"select source files by `MODE`: worktree (files that git does not ignore; default in a repository),"+
			" commit[=REF] or all")
	fs.StringVarP(&o.Buildspec, "buildspec", "b", "",
		"read the buildspec from `SPEC`: a path, inline YAML, or - for standard input (default buildspec.yml in the source)")
	fs.StringVar(&o.Project, "project", "",
		"read project settings from `FILE`: a CreateProject document or the output of batch-get-projects")
	fs.StringVar(&o.ProjectName, "project-name", "",
		"set the project `NAME` (default: from the project file, or the name of the source directory)")
}

func registerImage(f *Flags, fs *pflag.FlagSet) {
	o, e := &f.Image, &f.Engine
	fs.StringVarP(&o.Name, "image", "i", "",
		"build in `IMAGE`: a reference, oci:DIR[:NAME] (OCI layout) or tar:FILE[:NAME] (docker save archive)"+
			" (default: the project's image, or a curated one)")
	fs.StringArrayVar(&o.Substitutes, "images", nil,
		"substitute images: `NAME=IMAGE` uses IMAGE instead of NAME; * in NAME matches any text; repeatable")
	fs.StringVar(&o.Digest, "image-digest", "",
		"require the image to have this `DIGEST` or ID, such as sha256:0123...")
	fs.BoolVar(&o.Required, "require-image", false, "fail instead of building with this host's tools without an image")
	fs.StringVar(&o.Pull, "pull", local.DefaultPull, "pull the image `WHEN`: always, missing or never")
	fs.StringVar(&o.Platform, "platform", "", "use the image for `PLATFORM`, such as linux/arm64")
	e.Kind = local.EngineAuto
	fs.Var((*engineValue)(&e.Kind), "engine", "run the build on `ENGINE`: auto, docker, sandbox or host")
	fs.BoolVar(&e.Privileged, "privileged", false, "enable privileged mode, to run Docker inside the build")
	fs.StringVar(&e.Docker, "docker", local.DefaultDocker,
		"Docker `ENGINE` available in the build: nested (separate daemon, requires --privileged)"+
			" or socket (experimental: the host's, restricted to this build's resources)")
}

func registerLimits(f *Flags, fs *pflag.FlagSet) {
	e, d := &f.Engine, &f.Debug
	fs.StringArrayVar(&d.Only, "only", nil, "run the commands of `PHASES` only, such as build,post_build; repeatable")
	fs.StringArrayVar(&d.Skip, "skip", nil,
		"leave out `PARTS`: phases, commands (build:2), artifacts, reports or cache; separated by commas, repeatable")
	fs.StringVar(&d.Until, "until", "", "end after `WHERE`: a phase or a command (build:2)")
	fs.StringVar(&d.From, "from", "",
		"begin at `WHERE`: a phase, a command (build:2), or auto (the first phase that changes can affect),"+
			" with the results of earlier phases from a snapshot")
	fs.BoolVar(&d.Force, "force", false, "use a snapshot for --from although the buildspec or the source has changed")
	fs.Var((*cli.Minutes)(&e.Timeout), "timeout",
		"stop the build after `DURATION`, such as 90s or 45m; a plain number is minutes (default: the project's, or 60m)")
	fs.StringVar(&e.ComputeType, "compute-type", "",
		"limit CPUs and memory to compute type `NAME`, such as BUILD_GENERAL1_SMALL (default: the project's, or unlimited)")
}

func registerAccess(f *Flags, fs *pflag.FlagSet) {
	o := &f.Access
	fs.StringArrayVar(&o.Mounts, "mount", nil,
		"let the build read and write a directory of this host: `HOST:PATH[:ro]`; repeatable")
	fs.StringVar(&o.Network, "network", "", "connect the build to the Docker network `NAME`, or to none")
	fs.StringArrayVar(&o.Hosts, "add-host", nil, "let the build resolve a name: `NAME:IP`; repeatable")
	fs.StringArrayVar(&o.Publish, "publish", nil,
		"make a TCP port of the build reachable on this host: `HOST:CONTAINER`; repeatable")
}

func registerVariables(f *Flags, fs *pflag.FlagSet) {
	o := &f.Variables
	fs.StringArrayVarP(&o.Set, "env", "e", nil,
		"set a variable: `NAME=VALUE`, or NAME to copy it from your environment; repeatable")
	fs.StringArrayVar(&o.Files, "env-file", nil, "read NAME=VALUE lines from `FILE`; repeatable")
	fs.StringArrayVar(&o.Overrides, "env-override", nil,
		"override a variable as StartBuild does: `VARIABLE` is name=NAME,value=VALUE,type=TYPE or JSON; repeatable")
	fs.StringVar(&o.Exported, "exported-env", "", "write exported variables to `FILE`, in the format of --env-file")
	fs.StringVar(&o.Region, "region", "",
		"AWS `REGION` to report to the build (default AWS_REGION, AWS_DEFAULT_REGION, the profile's, or us-east-1)")
	fs.StringVar(&o.CABundle, "ca-bundle", "", "add the CA certificates in `FILE` (PEM) to the build's trust store")
}

func registerSecrets(f *Flags, fs *pflag.FlagSet) {
	o := &f.Secrets
	fs.StringVar(&o.File, "secrets", "",
		"read values for parameter-store and secrets-manager from `FILE`"+
			" (default .buildlocal/secrets.yml in the source, if it exists)")
	fs.BoolVar(&o.AWS, "aws", false, "look up values that the secrets file does not have in AWS, with your credentials")
	fs.StringVar(&o.Profile, "profile", "",
		"use the credentials of AWS profile `NAME` for look-ups (implies --aws) and for --aws-credentials")
	fs.StringVar(&o.AssumeRole, "assume-role", "",
		"assume role `ARN` for look-ups (implies --aws) and for --aws-credentials")
	fs.BoolVar(&o.Credentials, "aws-credentials", false,
		"give the build your AWS credentials, or those of --profile and --assume-role,"+
			" from the container credentials endpoint")
	fs.BoolVar(&o.GitCredentials, "git-credentials", false,
		"let git in the build use your git credentials, if the buildspec sets git-credential-helper")
	fs.BoolVar(&o.Metadata, "metadata", false,
		"allow access to the host's instance metadata service, including its credentials")
	fs.BoolVar(&o.MaskEncoded, "mask-encoded", false, "also mask secrets encoded as base64, URL or JSON")
}

func registerCache(f *Flags, fs *pflag.FlagSet) {
	o := &f.Cache
	fs.StringVar(&o.Place, "cache", "",
		"keep the files of cache.paths in `PLACE`: a directory, or s3://BUCKET/PREFIX (default: the user's cache directory)")
	fs.BoolVar(&o.Off, "no-cache", false, "do not restore or save a cache")
	fs.StringVar(&o.Size, "cache-size", local.DefaultCacheSize,
		"maximum total `SIZE` of local caches; least recently used are evicted first")
}

func registerOutput(f *Flags, fs *pflag.FlagSet) {
	o := &f.Output
	fs.StringVarP(&o.Dir, "output", "o", "", "write build output to `DIR` (default .buildlocal in the source)")
	fs.StringArrayVar(&o.Artifacts, "artifacts", nil,
		"also copy artifacts to `DIR`, or secondary artifacts with ID=DIR; replaces only earlier copies; repeatable")
	fs.BoolVar(&o.Zip, "zip", false, "also pack artifacts into a zip file, as a project with packaging ZIP does")
	fs.BoolVar(&o.FullReports, "full-reports", false, "keep all test cases of a report (CodeBuild keeps 500)")
	fs.BoolVar(&o.TolerateBadReports, "tolerate-bad-reports", false,
		"do not fail the build for report files that CodeBuild refuses")
	fs.IntVar(&o.KeepBuilds, "keep-builds", local.DefaultKeepBuilds, "keep the newest `N` builds in the output directory")
}

func registerDisplay(f *Flags, fs *pflag.FlagSet) {
	fs.StringVar(&f.Format, "format", "text",
		"print the build as `FORMAT`: text, service (the log CodeBuild would write) or json (one event per line)")
	fs.BoolVarP(&f.Quiet, "quiet", "q", false, "print only failures and the verdict")
	fs.BoolVarP(&f.Verbose, "verbose", "v", false, "also print the agent's log lines")
	fs.StringVar(&f.Color, "color", terminal.Auto, "use colors `WHEN`: auto, always or never")
	fs.StringVar(&f.Progress, "progress", string(console.ProgressAuto),
		"show progress as `KIND`: line (on a terminal), plain (a line every 30 s), off, or auto")
	fs.StringVar(&f.CI, "ci", terminal.Auto, "fold phases and report failures in the log of `SYSTEM`: github or gitlab; "+
		"off, or auto to detect it")
}

func registerChecks(f *Flags, fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.Checks.Ignore, "ignore", nil, "disable check `NAME`; repeatable")
	fs.BoolVar(&f.Checks.Strict, "strict", false, "treat warnings and lints of the buildspec as errors")
	fs.BoolVar(&f.NoConfig, "no-config", false, "ignore "+File+" in the source")
}

func registerDebugging(f *Flags, fs *pflag.FlagSet) {
	o := &f.Debug
	fs.BoolVar(&o.Debug, "debug", false,
		"stop at failures, in codebuild-breakpoint and at the time limit, and show a prompt")
	fs.StringArrayVar(&o.Break, "break", nil,
		"stop at `WHERE`: build, build:2, build:end, :14, /text/, failure, breakpoint, timeout, start or end,"+
			" each with an optional: if COMMAND; repeatable")
	fs.BoolVar(&o.Step, "step", false, "stop before every command")
	fs.DurationVar(&o.Wait, "pause-for", 0,
		"wait `DURATION` for an answer at each stop, then go on (default: without limit on a terminal, else 30m)")
	fs.Lookup("pause-for").DefValue = ""
	fs.StringArrayVar(&f.Inputs, "inputs", nil,
		"list the source files that a phase reads: `PHASE=PATTERN`, such as install=package*.json; repeatable")
	fs.BoolVar(&f.DryRun, "dry-run", false, "print the build plan without starting anything")
	fs.BoolVar(&f.Engine.Keep, "keep", false, "keep the container after the build")
	fs.StringVar(&f.Engine.KeepFailed, "keep-failed", local.KeepFailedAuto,
		"keep the state of a build that ends at a failed command, for debug, for 24 hours `WHEN`: always, never,"+
			" or auto (on a terminal outside of CI)")
	fs.StringVar(&f.Debug.Snapshots, "snapshots", local.SnapshotsAuto,
		"take a snapshot after each phase, for --from, `WHEN`: always, never, or auto (on a terminal outside of CI,"+
			" if it costs less than a tenth of the time of the commands)")
	fs.StringVar(&f.Debug.SnapshotSize, "snapshot-size", local.DefaultSnapshotSize,
		"keep at most `SIZE` of snapshots, and three of each source and engine; 0 is unlimited")
}

// deferredValue is the value of a flag that does not accept any text. It keeps the error of
// an invalid text, which Settle reports together with other mistakes: pflag stops at the first
// one. The flag keeps its earlier value then.
type deferredValue struct {
	pflag.Value
	text string // the first invalid one
	err  error  // nil if all were valid
}

// Set sets the value, or remembers why it cannot. It never returns an error.
func (v *deferredValue) Set(text string) error {
	before := v.String()
	err := v.Value.Set(text)
	if err != nil {
		_ = v.Value.Set(before) // pflag sets a number to 0; an empty duration was not changed
	}
	if v.err == nil && err != nil {
		v.text, v.err = text, err
	}
	return nil
}

// invalidValue returns the error of a flag that was given an invalid text.
func invalidValue(flag *pflag.Flag) error {
	if v, deferred := flag.Value.(*deferredValue); deferred && v.err != nil {
		return wrongValue(flag, v.text, v.err)
	}
	return nil
}

// engineValue is the value of --engine. It accepts any text, because Validate reports an
// unknown engine together with the known ones.
type engineValue local.EngineKind

// Set sets the engine.
func (e *engineValue) Set(text string) error { *e = engineValue(text); return nil }

// String returns the name of the engine.
func (e *engineValue) String() string { return string(*e) }

// Type returns the kind of the value for the help.
func (e *engineValue) Type() string { return "string" }
