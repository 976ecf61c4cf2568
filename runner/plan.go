// Package runner runs one build, from SUBMITTED to COMPLETED.
//
// NewPlan makes a Plan from the buildspec, the project and the command line, without side
// effects; Plan.String prints it. Runner.Run runs a plan in a container and returns a
// Record, which as JSON has the shape of an entry of BatchGetBuilds. While the build runs
// it sends Events. Secrets are masked in the record and in all events.
//
// A build walks over a table of phases. Its parts own their state: recorder (record,
// events, mask), shellState (the build's shells), cacheStep, artifactStep, reportStep and
// endpoints. The package does not print, read configuration or choose an engine. It
// writes to the output directory; it reads files of the host only through Runner.HostFS
// and Runner.Program.
package runner

import (
	"cmp"
	"path"
	"time"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/compute"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/project"
)

// Directories of a build environment (observed).
const (
	outputDir   = "/codebuild/output"
	StateDir    = "/codebuild/output/tmp" // script.sh, env.sh, dir.txt
	readonlyDir = "/codebuild/readonly"   // an inline buildspec; the first OLDPWD
	userBin     = "/codebuild/user/bin"   // helper commands, last in PATH
)

// DefaultTimeout is the timeout of a build without a setting (documented).
const DefaultTimeout = 60 * time.Minute

// Plan describes everything that a build will do. A Runner does not change it.
type Plan struct {
	Identity        Identity
	Image           string   // as configured
	Engine          string   // name and address of the engine, for display
	Place           string   // description of the environment if it is not an image
	Checkout        string   // version of the primary source, such as main 1a2b3c4 + 2 files; empty if it has none
	Alias           string   // a name that the image may have on the host; never pulled
	Images          []string // spellings of the image's name in registries
	Digest          string   // required of the image; empty for any
	StandIn         string   // local substitute for the image; empty if it is not replaced
	NoImage         string   // hint if no registry has the image
	EnvironmentType string
	ComputeType     string
	Limits          engine.Limits // of the compute type
	Privileged      bool
	Socket          bool // Docker in the build uses the engine that the build runs on
	Platform        string
	Pull            engine.Pull
	Timeout         time.Duration
	Binds           []engine.Bind  // of the host's directories
	Network         engine.Network // its Name, Hosts and Ports
	EncryptionKey   string
	LogPrefix       string // prefix of the log stream's name

	File       string // the buildspec as the user spells it
	Location   string // of the buildspec in the build
	Inline     string // see Inputs
	Shell      string // runs the commands
	Keep       bool   // variables and directory outlive a command; not in version 0.1
	Sources    []Source
	Variables  []Variable // with different names
	Exported   []string
	Phases     []Phase
	Written    []string // phases of the buildspec, in its order
	Runtimes   []buildspec.Variable
	Artifacts  *buildspec.Artifacts
	Reports    []buildspec.ReportGroup
	Cache      *buildspec.Cache
	CacheModes []string           // of the project's LOCAL cache
	CachePlace string             // see Inputs
	Packages   map[string]Package // settings of artifacts by identifier; "" is the primary one
	Warning    string             // the service's warning about unknown keys

	Certificates   []byte // see Inputs
	CABundle       string // see Inputs
	Grant          string // see Inputs
	GitHelper      bool   // the buildspec requests git credentials
	GitCredentials bool   // see Inputs
	MaskEncoded    bool   // see Inputs
	Metadata       bool   // see Inputs

	Partial  *Partial  // parts that are left out; nil for none
	Restored *Restored // phases that do not run; nil for none. See Restore
	Notes    []string  // for the user, one line each
	Lints    diag.List // of the buildspec, to explain failed commands
	// Unset returns the variables that a command uses although nothing sets them, by the command's
	// first line in the buildspec. It may be nil. UnsetHint is the next step for them.
	Unset     func() map[int][]string `json:"-"`
	UnsetHint string
	// Hidden returns the variables that a command uses and that are empty if a command failed whose
	// failure was hidden, by the first line of the command that uses them, with an explanation. It may
	// be nil.
	Hidden func() map[int]map[string]string `json:"-"`

	spec *buildspec.Buildspec // for excerpts
}

// Package has the project's settings of an artifact.
type Package struct {
	Name   string // the project's name for it; may be empty
	Own    bool   // the buildspec's name wins over Name
	Path   string // prefix in the bucket
	ByID   bool   // the build's UUID is in front of the name
	Bucket bool   // the service uploads it to a bucket
	Zip    bool   // it is packed
}

// Phase is one of the four phases with commands.
type Phase struct {
	Type      PhaseType
	Written   bool   // it is in the buildspec
	RunAs     string // user; empty or root for root
	OnFailure buildspec.OnFailure
	Commands  []buildspec.Command
	Finally   []buildspec.Command
}

// NewPlan returns the plan of a build. It has no side effects. The error is a diag.List if
// the buildspec cannot be run as a single build.
func NewPlan(in Inputs) (*Plan, error) {
	if len(in.Spec.Phases) == 0 && in.Spec.Batch != nil {
		return nil, noPhases(in.Spec)
	}
	p := &Plan{
		Identity: in.Identity, Platform: in.Platform, Pull: in.Pull,
		EnvironmentType: in.Project.Environment.Type, EncryptionKey: in.Project.EncryptionKey,
		LogPrefix: in.Project.LogStreamPrefix,
		Socket:    in.Socket, Digest: in.Digest,
		Privileged: in.Privileged || in.Project.Environment.Privileged && !in.Unprivileged,
		File:       in.Spec.File, Location: in.Location, Inline: in.Inline,
		Keep: in.Spec.Version != "0.1", Shell: shellOf(in.Spec.Env.Shell),
		Exported: in.Spec.Env.ExportedVariables, Artifacts: in.Spec.Artifacts, Reports: in.Spec.Reports,
		Cache: in.Spec.Cache, CachePlace: in.CachePlace, Engine: in.Engine, Place: in.Place,
		Checkout:   in.Checkout,
		CacheModes: in.Project.Cache.Modes,
		Warning:    in.Spec.Warning(), spec: in.Spec,
		Certificates: in.Certificates, CABundle: in.CABundle, Grant: in.Grant,
		GitHelper: in.Spec.Env.GitCredentialHelper, GitCredentials: in.GitCredentials,
		MaskEncoded: in.MaskEncoded, Metadata: in.Metadata, Lints: in.Lints, Unset: in.Unset, UnsetHint: in.UnsetHint,
		Hidden: in.Hidden,
	}
	p.setImages(in)
	p.setEnvironment(in)
	p.setLimits(in.Project.Environment, in.ComputeType)
	requested := firstDuration(in.Timeout, in.Project.Timeout)
	p.Timeout = firstDuration(requested, DefaultTimeout)
	p.applyLambdaLimits(requested)
	if text := compute.NotImitated(p.EnvironmentType); text != "" {
		p.Notes = append(p.Notes, text)
	}
	p.setSources(in.Sources)
	p.setPhases(in.Spec)
	p.setPackages(in)
	p.setVariables(in)
	return p, nil
}

// Outline returns a plan that has only the commands of a buildspec, which are enough for Places and
// Resolve.
func Outline(spec *buildspec.Buildspec) *Plan {
	p := &Plan{File: spec.File, spec: spec}
	p.setPhases(spec)
	return p
}

// setEnvironment sets the compute type and the environment type. If the project does not
// set the latter, it follows from the compute type and the image. The platform follows
// from it if it differs from the host's.
func (p *Plan) setEnvironment(in Inputs) {
	p.ComputeType = cmp.Or(in.ComputeType, in.Project.Environment.ComputeType)
	if p.EnvironmentType == "" {
		p.EnvironmentType = compute.EnvironmentOf(p.ComputeType, p.Image)
	}
	wanted := compute.Platform(p.EnvironmentType)
	if p.Platform == "" && wanted != "" && wanted != in.Native && in.Native != "" {
		p.Platform = wanted
	}
}

// setLimits sets the limits of the compute type, or of the instance that the project
// describes. requested is the user's compute type, which wins over the project. Without a
// compute type the build is unlimited.
func (p *Plan) setLimits(e project.Environment, requested string) {
	m := compute.Size(p.EnvironmentType, p.ComputeType)
	if requested == "" && (e.Compute.VCPU > 0 || e.Compute.Memory > 0) {
		const gib = 1 << 30
		m = compute.Machine{VCPU: e.Compute.VCPU, Memory: int64(e.Compute.Memory) * gib}
	}
	p.Limits = engine.Limits{CPUs: float64(m.VCPU), Memory: m.Memory}
}

// noPhases reports a buildspec that can only be run as a batch.
func noPhases(spec *buildspec.Buildspec) diag.List {
	problem := spec.At(0, 0, 0, "the buildspec has only a batch section; expected phases: write them, "+
		"or name the buildspec of one of its builds with --buildspec")
	problem.Name, problem.Service = buildspec.OnlyBatch, "wrong number of container tags, expected 1"
	return diag.List{problem}
}

// shellOf returns the shell for commands: the image's sh without env.shell (documented).
func shellOf(written string) string {
	if written == "" {
		return "sh"
	}
	return written
}

func firstDuration(all ...time.Duration) time.Duration {
	for _, d := range all {
		if d > 0 {
			return d
		}
	}
	return 0
}

// setImages sets the image and the names by which the engine looks for it.
func (p *Plan) setImages(in Inputs) {
	for _, image := range []string{in.Image, in.Project.Environment.Image, in.Default} {
		if image != "" {
			p.Image = image
			break
		}
	}
	wanted := p.Image
	if p.StandIn = standInFor(p.Image, in.StandIns); p.StandIn != "" {
		wanted = p.StandIn
	}
	names := project.ImageCandidates(wanted)
	if _, unpublished := project.Unpublished(wanted); unpublished {
		p.Alias, p.Images, p.NoImage = wanted, nil, unpublishedHint(wanted, in.Default, in.Spec)
		return
	}
	p.Images = names
	if len(names) > 1 { // a curated image: the configured name exists on the host only
		p.Alias, p.Images = names[0], names[1:]
	}
}

// SourceDir returns the directory that a source will have in a build in a container.
func SourceDir(s Source) string { return s.below(path.Join(outputDir, "src"+s.Digits)) }

// below returns the source's directory below src<digits>.
func (s Source) below(top string) string { return path.Join(top, "src", s.Repo) }

// setSources places the sources as the service does: each in a directory with random
// digits, and below it the path of its git remote as in a GOPATH (observed).
func (p *Plan) setSources(all []Source) {
	for _, s := range all {
		s.Top = path.Join(p.outputDir(), "src"+s.Digits)
		s.Path = s.below(s.Top)
		s.Tree.Path = s.Path
		p.Sources = append(p.Sources, s)
	}
	if !path.IsAbs(p.Location) {
		p.Location = path.Join(p.Sources[0].Path, p.Location)
	}
}

func (p *Plan) setPhases(spec *buildspec.Buildspec) {
	for _, t := range []PhaseType{Install, PreBuild, Build, PostBuild} {
		phase, written := spec.Phase(string(t))
		runAs := phase.RunAs
		if runAs == "" {
			runAs = spec.RunAs
		}
		if p.Lambda() {
			runAs = lambdaUser
		}
		p.Phases = append(p.Phases, Phase{
			Type: t, Written: written, RunAs: runAs, OnFailure: phase.OnFailure,
			Commands: phase.Commands, Finally: phase.Finally,
		})
		p.Runtimes = append(p.Runtimes, phase.Runtimes...)
	}
	for _, phase := range spec.Phases {
		p.Written = append(p.Written, phase.Name)
	}
}

// setPackages sets the packaging and the names of artifacts.
func (p *Plan) setPackages(in Inputs) {
	p.Packages = map[string]Package{}
	if in.Spec.Artifacts == nil {
		return
	}
	known := map[string]project.Artifacts{"": in.Project.Artifacts}
	for _, a := range in.Project.SecondaryArtifacts {
		known[a.Identifier] = a
	}
	for _, written := range append([]buildspec.Artifacts{*in.Spec.Artifacts}, in.Spec.Artifacts.Secondary...) {
		a := known[written.Identifier]
		p.Packages[written.Identifier] = Package{
			Name: a.Name, Own: a.OverrideName || a.Type == "", Path: a.Path,
			ByID: a.NamespaceType == "BUILD_ID", Bucket: a.Type == "S3",
			// CodePipeline always packs artifacts (documented).
			Zip: in.Zip || a.Packaging == "ZIP" || a.Type == "CODEPIPELINE",
		}
	}
}

func (p *Plan) setVariables(in Inputs) {
	var vs variables
	vs.fromHost(in)
	vs.fromBuildspec(in.Spec)
	vs.fromProject(in.Project.Environment.Variables, in.ProjectFile)
	for _, o := range in.Overrides {
		vs.fromProject(o.Variables, o.Origin)
	}
	vs.fromService(p)
	vs.fromGrant(in)
	p.Variables = vs.all
}

// phase returns the phase of a type.
func (p *Plan) phase(t PhaseType) Phase {
	for _, phase := range p.Phases {
		if phase.Type == t {
			return phase
		}
	}
	return Phase{Type: t}
}

// user returns the user who runs the phase; empty for root, and for a phase without
// commands.
func (ph Phase) user() string {
	if ph.RunAs == "root" || len(ph.Commands)+len(ph.Finally) == 0 {
		return ""
	}
	return ph.RunAs
}

// users returns all users who run commands, except root.
func (p *Plan) users() []string {
	var users []string
	seen := map[string]bool{"": true}
	for _, phase := range p.Phases {
		if user := phase.user(); !seen[user] {
			seen[user] = true
			users = append(users, user)
		}
	}
	return users
}
