package local

import (
	"errors"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/buildlocal/buildlocal/compute"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/lint"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

// Request describes a build. Validate must be called before it is used. The
// zero value of most fields is a default; New returns a request with all defaults.
type Request struct {
	Source    SourceOptions
	Image     ImageOptions
	Engine    EngineOptions
	Access    AccessOptions
	Variables VariableOptions
	Secrets   SecretOptions
	Cache     CacheOptions
	Output    OutputOptions
	Checks    CheckOptions
	Debug     DebugOptions

	// Inputs are the files that phases read, as PHASE=PATTERN; see InputsOf.
	Inputs []string

	// Observe records which files of the source each phase opens, in the record of the build. Engines
	// that cannot do it record nothing.
	Observe bool

	// Repeats is a build of CodeBuild that is repeated, see Host.Repeat; nil for a build of its own.
	Repeats *Repeated

	// DryRun makes Prepare stop at the plan: no credentials are looked up and no
	// build number is taken.
	DryRun bool

	// CommandLine is a shell command that makes the same request, for the user; empty if the
	// caller is not the command line.
	CommandLine string

	// Origins says where each setting comes from, by its name on the command line. Nil
	// means that the caller chose all of them.
	Origins map[string]Origin
	// Places are those of settings that are not on the command line, by the same names.
	Places map[string]Place
	// Trusted is true if the user trusts the configuration file of the source.
	Trusted bool
	// Texts are the contents of files that this configuration file names, by path, as
	// they were when the user's trust was checked. They are not read again, because
	// their contents could have changed since.
	Texts map[string][]byte
}

// Origin is the place that a setting comes from. Later ones take precedence.
type Origin int

// The values of Origin.
const (
	FromDefault  Origin = iota
	FromUserFile        // the user's configuration file
	FromSource          // the configuration file of the source, which may come from a stranger
	FromVariable        // an environment variable
	FromCaller          // the command line, or another caller
)

// Place is where a setting is written: a configuration file or an environment variable.
type Place struct {
	Name  string // of the file or the variable
	Lines []int  // of each value in the file, from 1; nil for a variable
}

// place returns the place of the nth value of a setting, from 0, and its line, or 0. usual is the
// name for a value of the command line.
func (r *Request) place(setting, usual string, n int) (name string, line int) {
	p, found := r.Places[setting]
	if !found {
		return usual, 0
	}
	if n < len(p.Lines) {
		line = p.Lines[n]
	}
	return p.Name, line
}

// SourceOptions select the source, its buildspec and its project.
type SourceOptions struct {
	Dir         string
	Root        string   // Dir or a parent of it in its repository, which is the source; "" for Dir
	Secondary   []string // ID=DIR
	Mode        string   // worktree, commit[=REF] or all; "" for worktree in a repository, else all
	Buildspec   string   // a path, YAML, or "-" for standard input; "" for the project's, or buildspec.yml
	Project     string   // file with a CreateProject document or the output of batch-get-projects
	ProjectName string   // of a project in that file, and of the build
}

// ImageOptions select the image.
type ImageOptions struct {
	Name        string   // a reference, oci:DIR or tar:FILE; "" for the project's or a curated image
	Substitutes []string // NAME=IMAGE; "*" in NAME matches any text
	Digest      string   // sha256:…, which the image must have; "" for any
	Required    bool     // do not build with the host's tools instead
	Pull        string   // always, missing or never
	Platform    string   // OS/ARCHITECTURE; "" for the engine's own
}

// EngineOptions select the engine and the limits of the build.
type EngineOptions struct {
	Kind        EngineKind
	ComputeType string // "" for the project's
	Privileged  bool
	Docker      string        // nested or socket: the engine that docker in the build uses
	Timeout     time.Duration // 0 for the project's
	Keep        bool          // keep the container after the build
	KeepFailed  string        // auto, always or never: keep the state of a failed build
}

// VariableOptions set environment variables of the build.
type VariableOptions struct {
	Set       []string // NAME=VALUE, or NAME to copy it from the host
	Files     []string // with NAME=VALUE lines
	Overrides []string // as for StartBuild: name=NAME,value=VALUE,type=TYPE or JSON
	Exported  string   // file to write exported variables to
	Region    string   // AWS region that the build sees
	CABundle  string   // PEM file with certificates to trust
}

// SecretOptions say which secrets and credentials of the user the build may use.
type SecretOptions struct {
	File           string // "" for .buildlocal/secrets.yml in the source, if it exists
	AWS            bool   // look up missing values in the user's account
	Profile        string // AWS profile whose credentials are used; implies AWS
	AssumeRole     string // ARN of a role to use them as; implies AWS
	Credentials    bool   // serve AWS credentials to the build
	GitCredentials bool   // let git in the build use the user's credentials
	Metadata       bool   // allow access to the instance metadata service
	MaskEncoded    bool   // also mask base64, URL and JSON encodings of secrets
}

// CacheOptions say where caches are kept.
type CacheOptions struct {
	Place string // a directory or s3://BUCKET/PREFIX; "" for the user's cache directory
	Off   bool
	Size  string // limit of all local caches, such as 10GB; "0" is unlimited
}

// OutputOptions say where the results go.
type OutputOptions struct {
	Dir         string   // "" for .buildlocal in the source
	Artifacts   []string // DIR, or ID=DIR for secondary artifacts, to copy them to
	Zip         bool
	FullReports bool // keep all test cases, instead of as many as CodeBuild keeps
	// TolerateBadReports continues a build whose report files CodeBuild refuses.
	TolerateBadReports bool
	KeepBuilds         int // number of builds to keep in Dir
}

// CheckOptions configure the checks of the buildspec.
type CheckOptions struct {
	Ignore []string // names of checks
	Strict bool     // treat warnings and lints as errors
}

// EngineKind selects an engine.
type EngineKind string

// The engines. EngineAuto is Docker if it can be reached, else one of the others.
const (
	EngineAuto    EngineKind = "auto"
	EngineDocker  EngineKind = "docker"
	EngineSandbox EngineKind = "sandbox"
	EngineHost    EngineKind = "host"
)

// EngineKinds are all engines.
func EngineKinds() []string {
	return []string{string(EngineAuto), string(EngineDocker), string(EngineSandbox), string(EngineHost)}
}

// Daemonless reports whether builds run as child processes of this program: they end
// with it, cannot be kept, and run only on the host's architecture.
func (k EngineKind) Daemonless() bool { return k == EngineSandbox || k == EngineHost }

// HasImages reports whether builds run in an image.
func (k EngineKind) HasImages() bool { return k != EngineHost }

// Defaults that are not zero values.
const (
	DefaultPull       = "missing"
	DefaultDocker     = "nested"
	DefaultCacheSize  = "10GB"
	DefaultKeepBuilds = 20
)

// New returns a request for the source in a directory, with all defaults.
func New(dir string) *Request {
	return &Request{
		Source: SourceOptions{Dir: dir}, Image: ImageOptions{Pull: DefaultPull},
		Engine: EngineOptions{Kind: EngineAuto, Docker: DefaultDocker, KeepFailed: KeepFailedAuto},
		Debug:  DebugOptions{Snapshots: SnapshotsAuto, SnapshotSize: DefaultSnapshotSize},
		Cache:  CacheOptions{Size: DefaultCacheSize}, Output: OutputOptions{KeepBuilds: DefaultKeepBuilds},
	}
}

// origin returns the place that a setting comes from.
func (r *Request) origin(setting string) Origin {
	if r.Origins == nil {
		return FromCaller
	}
	return r.Origins[setting]
}

// comesWithSource reports whether a stranger may have chosen a setting.
func (r *Request) comesWithSource(setting string) bool { return r.origin(setting) == FromSource }

// NativePlatform is the platform of the host.
func NativePlatform() string { return "linux/" + runtime.GOARCH }

// Normalize replaces short forms: names of curated images and of compute types.
func (r *Request) Normalize() {
	r.Image.Name = project.Curated(r.Image.Name)
	r.Engine.ComputeType = strings.ToUpper(r.Engine.ComputeType)
	if short := "BUILD_GENERAL1_" + r.Engine.ComputeType; slices.Contains(compute.Types, short) {
		r.Engine.ComputeType = short
	}
}

// Validate returns all mistakes that can be found without reading anything, as
// *SettingError. The user with the given ID, -1 on Windows, will run the build.
func (r *Request) Validate(uid int) []error {
	var errs []error
	add := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	add(OneOf("engine", string(r.Engine.Kind), EngineKinds()...))
	add(OneOf("docker", r.Engine.Docker, "nested", "socket"))
	add(OneOf("snapshots", r.Debug.Snapshots, SnapshotsAuto, SnapshotsAlways, SnapshotsNever))
	add(OneOf("keep-failed", r.Engine.KeepFailed, KeepFailedAuto, KeepFailedAlways, KeepFailedNever))
	add(OneOf("pull", r.Image.Pull, "always", "missing", "never"))
	if r.Engine.ComputeType != "" {
		add(OneOf("compute-type", r.Engine.ComputeType, sizedComputeTypes()...))
	}
	errs = append(errs, r.validateImages()...)
	errs = append(errs, r.validateAccess()...)
	errs = append(errs, r.validatePlaces()...)
	errs = append(errs, r.validateInputs()...)
	for _, name := range r.Checks.Ignore {
		if message := lint.WrongIgnore(name); message != "" {
			add(wrongValue("ignore", name, "%s", message))
		}
	}
	if _, err := CacheSize(r.Cache.Size); err != nil {
		add(wrongValue("cache-size", r.Cache.Size, "%s", err))
	}
	for _, rule := range rules {
		if rule.broken(r, uid) {
			wrong := rule.message(r)
			wrong.Setting = rule.setting
			add(&wrong)
		}
	}
	return errs
}

// OneOf returns a *SettingError if a value is not one of the known ones.
func OneOf(setting, value string, known ...string) error {
	if slices.Contains(known, value) {
		return nil
	}
	switch suggestion := diag.Suggest(value, known); {
	case setting == "engine" && value == "podman":
		return wrongValue(setting, value, "use docker, which also connects to podman")
	case suggestion != "":
		return wrongValue(setting, value, "did you mean %s?", suggestion)
	}
	return wrongValue(setting, value, "use %s", diag.Alternatives(known))
}

// sizedComputeTypes are the compute types with a fixed size.
func sizedComputeTypes() []string {
	return slices.DeleteFunc(slices.Clone(compute.Types), func(t string) bool {
		return compute.Size("", t) == compute.Machine{}
	})
}

var (
	digestForm   = lazyRegexp(`^sha256:[0-9a-f]{64}$`)
	platformForm = lazyRegexp(`^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?$`)
	// roleForm also matches roles of partitions other than aws.
	roleForm = lazyRegexp(`^arn:[a-z-]+:iam::[0-9]+:role/.+$`)
)

// lazyRegexp compiles an expression when it is used for the first time: most commands
// use none of them.
func lazyRegexp(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

func (r *Request) validateImages() []error {
	var errs []error
	if lower := engine.LowerName(r.Image.Name); lower != r.Image.Name {
		errs = append(errs, wrongValue("image", r.Image.Name, "image names are lower case; did you mean %s?", lower))
	}
	if r.Image.Digest != "" && !digestForm().MatchString(r.Image.Digest) {
		errs = append(errs, wrongValue("image-digest", r.Image.Digest,
			"not a digest; use sha256: and 64 hexadecimal digits, as buildlocal image ls --full shows"))
	}
	for _, text := range r.Image.Substitutes {
		if name, image, _ := strings.Cut(text, "="); name == "" || image == "" {
			errs = append(errs, wrongValue("images", strings.TrimSuffix(text, "="), "use NAME=IMAGE, such as "+
				"aws/codebuild/standard:*=my/standard, or in .buildlocal.yml a mapping of them"))
		}
	}
	return errs
}

// IsLocalImage reports whether an image is in files of this machine, and not at a
// registry or an engine.
func IsLocalImage(name string) bool {
	return strings.HasPrefix(name, "oci:") || strings.HasPrefix(name, "tar:")
}

// IsS3 reports whether a cache is in a bucket.
func IsS3(place string) bool { return strings.HasPrefix(place, "s3://") }

// CacheSize parses a size such as 10GB, in bytes. 0 is unlimited.
func CacheSize(text string) (int64, error) {
	n, err := human.ParseBytes(text)
	if err != nil {
		return 0, errors.New("not a size; use 500MB, 10GB or 0 for no limit")
	}
	return n, nil
}

// substitutes returns the images to use instead of others.
func (r *Request) substitutes() []runner.StandIn {
	var all []runner.StandIn
	for _, text := range r.Image.Substitutes {
		name, image, _ := strings.Cut(text, "=")
		all = append(all, runner.StandIn{Name: project.Curated(name), Image: image})
	}
	return all
}

// looksUp reports whether values may be looked up in the user's AWS account: the user
// allows it, gives the build credentials, or names a profile or a role for it. A name in
// the user's own configuration file does not count, because it applies to the builds of
// every source.
func (r *Request) looksUp() bool {
	if r.Origins != nil && r.origin("aws") != FromDefault {
		return r.Secrets.AWS
	}
	return r.Secrets.AWS || r.Secrets.Credentials || r.names("profile", FromSource) || r.names("assume-role", FromSource)
}

// grants reports whether the build gets AWS credentials. A profile or a role only selects them:
// every command of the build can use what it gets, so the user has to ask for that in words.
func (r *Request) grants() bool { return r.Secrets.Credentials }

// names reports whether a setting has a value from the given origin or a later one.
func (r *Request) names(setting string, least Origin) bool {
	value := map[string]string{"profile": r.Secrets.Profile, "assume-role": r.Secrets.AssumeRole}[setting]
	return value != "" && r.origin(setting) >= least
}

// grant describes the credentials that the build gets, or is "" if it gets none.
func (r *Request) grant() string {
	switch {
	case !r.grants():
		return ""
	case r.Secrets.AssumeRole != "":
		return "those of the role " + r.Secrets.AssumeRole
	case r.Secrets.Profile != "":
		return "those of your profile " + r.Secrets.Profile
	}
	return "yours"
}

// OutputName is the name of the output directory in a source.
const OutputName = ".buildlocal"

// OutputDir returns the output directory.
func (r *Request) OutputDir() string {
	if r.Output.Dir != "" {
		return r.Output.Dir
	}
	return filepath.Join(r.home(), OutputName)
}

// ReadsStdin reports whether the buildspec or the secrets are read from standard input.
func (r *Request) ReadsStdin() bool { return r.Source.Buildspec == "-" || r.Secrets.File == "-" }

// SourceDir returns the directory of the source, absolute and without symbolic links. If the
// request names no valid one, it is that of the request.
func (r *Request) SourceDir() string {
	root, err := r.SourceRoot()
	if err != nil {
		root = r.Source.Dir
	}
	return RealDir(root)
}

// RealDir returns a directory as an absolute path without symbolic links, as far as it
// exists.
func RealDir(name string) string {
	dir, err := filepath.Abs(name)
	if err != nil {
		return name
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	return dir
}

// ReportLimits returns how much of each report is kept.
func (r *Request) ReportLimits() reports.Limits {
	if r.Output.FullReports {
		return reports.Limits{}
	}
	return reports.ServiceLimits()
}
