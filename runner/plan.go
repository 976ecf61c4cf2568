// Package runner carries out one build, from SUBMITTED to COMPLETED.
//
// A Plan says all that will happen and touches nothing; a Runner carries it out
// and decides nothing.
package runner

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/compute"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/secrets"
)

// Directories of a build environment (observed).
const (
	outputDir   = "/codebuild/output"
	stateDir    = "/codebuild/output/tmp" // script.sh, env.sh, dir.txt
	readonlyDir = "/codebuild/readonly"   // an inline buildspec, and the first directory
	userBin     = "/codebuild/user/bin"   // helper commands, last in PATH
)

// DefaultTimeout is a build's time where nobody says another (documented).
const DefaultTimeout = 60 * time.Minute

// Identity is what makes a build this one.
type Identity struct {
	Project     string // the project's name
	UUID        string
	Number      int
	ProjectUUID string // the same for each build of the project
	Region      string
	Account     string // twelve digits
	Initiator   string
	Start       time.Time
}

// BuildID is the build's ID: the project's name and a UUID.
func (i Identity) BuildID() string { return i.Project + ":" + i.UUID }

// ARN is the build's ARN.
func (i Identity) ARN() string { return i.arn("build/" + i.BuildID()) }

func (i Identity) arn(resource string) string {
	return fmt.Sprintf("arn:aws:codebuild:%s:%s:%s", i.Region, i.Account, resource)
}

func (i Identity) kmsDefault() string {
	return fmt.Sprintf("arn:aws:kms:%s:%s:alias/aws/s3", i.Region, i.Account)
}

// Source is one source of the build, as the plan's caller found it.
type Source struct {
	ID       string // identifier of a secondary source; empty for the primary one
	Repo     string // GOPATH-style path of a git remote, such as github.com/org/repo
	URL      string
	Version  string // as requested: branch, tag, commit; may be empty
	Resolved string // commit ID; empty outside git
	Digits   string // of the directory src<digits>
	Tree     engine.Tree
	Extra    []Extra // further directories the tree needs
	// Stream writes the tree as a tar stream, names below prefix.
	Stream func(w io.Writer, prefix string) error
	Note   string // what the user should know about it, one line

	Top, Path string // set by NewPlan: src<digits>, and the source's directory
}

// Extra is a further directory that a source needs, such as the repository of a
// linked worktree.
type Extra struct {
	Tree   engine.Tree
	Stream func(w io.Writer, prefix string) error
}

// Inputs are what a plan is made from.
type Inputs struct {
	Spec         *buildspec.Buildspec
	Location     string // where the buildspec stands in the build: absolute, or below the primary source
	Inline       string // the text of a buildspec that does not stand in the source
	Project      project.Project
	ProjectFile  string
	Overrides    []Override // weakest first
	Image        string     // overrides the project's
	ComputeType  string     // overrides the project's
	Default      string     // image when nobody names one
	StandIns     []StandIn  // for images that cannot be had by their names
	Digest       string     // that the image must have: sha256:…; empty for any
	Privileged   bool
	Unprivileged bool // whatever the project says
	Socket       bool // docker in the build speaks to the engine that the build runs on
	Platform     string
	Native       string // platform of this machine; images of the project's are for another only where that is said here
	Pull         engine.Pull
	Timeout      time.Duration // overrides the project's; 0 for none
	Identity     Identity
	Sources      []Source // the primary one first

	Host         []project.Variable // of this machine's environment, which a build gets too: a proxy
	Certificates []byte             // PEM, trusted in the build besides what its image trusts
	CABundle     string             // the file they are from
	CredentialID string             // of the credentials endpoint; empty where the build gets none
	Grant        string             // whose credentials those are, for a person
	// GitCredentials lets git in the build ask this machine's for credentials, where
	// the buildspec wants a helper.
	GitCredentials bool
	Zip            bool   // artifacts are packed too
	CachePlace     string // where caches are kept, for a person; empty where none is
	MaskEncoded    bool   // hide secrets in base64, URLs and JSON too
	Metadata       bool   // the build may ask this machine's cloud for its metadata
}

// Override are variables given when the build is started.
type Override struct {
	Origin    string // -e, or the name of a file
	Variables []project.Variable
}

// Plan is all that one build will do.
type Plan struct {
	Identity        Identity
	Image           string // as configured
	Place           string // what the build runs in, where that is no image
	Alias           string // a name the image may have here; never pulled
	Images          []string
	Digest          string // that it must have; empty for any
	StandIn         string // the image that stands for it here; empty for itself
	NoImage         string // the way on when no registry has the image
	EnvironmentType string
	ComputeType     string
	Limits          engine.Limits // what that machine has
	Privileged      bool
	Socket          bool // docker in the build speaks to the engine that the build runs on
	Platform        string
	Pull            engine.Pull
	Timeout         time.Duration
	EncryptionKey   string
	LogPrefix       string // of the log stream's name

	File       string // the buildspec, as the user named it
	Location   string // of the buildspec, as the log shows it
	Inline     string
	Shell      string // runs the commands
	Keep       bool   // variables and directory outlive a command: not in version 0.1
	Sources    []Source
	Variables  []Variable
	Exported   []string
	Phases     []Phase
	Written    []string // phases that stand in the buildspec, in its order
	Runtimes   []buildspec.Variable
	Artifacts  *buildspec.Artifacts
	Reports    []buildspec.ReportGroup
	Cache      *buildspec.Cache
	CacheModes []string           // of the project's LOCAL cache
	CachePlace string             // where it is kept, for a person; empty where it is not
	Packages   map[string]Package // of artifacts, by identifier; "" is the primary one
	Warning    string             // the service's, about unknown keys

	Certificates []byte // PEM, trusted besides what the image trusts
	CABundle     string // the file they are from
	Grant        string // whose AWS credentials the build gets; empty for none
	GitHelper    bool   // the buildspec asks for git credentials
	MaskEncoded  bool   // secrets are hidden in base64, URLs and JSON too
	Metadata     bool   // the build may ask this machine's cloud for its metadata

	Notes []string // what the user should know, one line each

	spec *buildspec.Buildspec
}

// Package is what the project says of an artifact: its name, and where it goes.
type Package struct {
	Name   string // of the project; empty for none
	Own    bool   // the buildspec's name counts: no project says otherwise
	Path   string // prefix in the bucket
	ByID   bool   // the build's UUID stands before the name
	Bucket bool   // there is one; else nothing is uploaded
	Zip    bool
}

// Phase is one phase with commands of the buildspec.
type Phase struct {
	Type      PhaseType
	Written   bool
	RunAs     string
	OnFailure buildspec.OnFailure
	Commands  []buildspec.Command
	Finally   []buildspec.Command
}

// NewPlan settles what a build will do, and touches nothing. The error is a
// diag.List: the buildspec cannot be run as one build.
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
		Exported: in.Spec.Env.ExportedVariables, Artifacts: in.Spec.Artifacts, Reports: in.Spec.Reports, Cache: in.Spec.Cache, CachePlace: in.CachePlace,
		CacheModes: in.Project.Cache.Modes,
		Warning:    in.Spec.Warning(), spec: in.Spec,
		Certificates: in.Certificates, CABundle: in.CABundle, Grant: in.Grant, GitHelper: in.Spec.Env.GitCredentialHelper,
		MaskEncoded: in.MaskEncoded, Metadata: in.Metadata,
	}
	p.images(in)
	p.environment(in)
	p.limits(in.Project.Environment, in.ComputeType)
	asked := firstDuration(in.Timeout, in.Project.Timeout)
	p.Timeout = firstDuration(asked, DefaultTimeout)
	p.lambda(asked)
	if text := compute.NotImitated(p.EnvironmentType); text != "" {
		p.Notes = append(p.Notes, text)
	}
	p.sources(in.Sources)
	p.phases(in.Spec)
	p.packages(in)
	p.variables(in)
	return p, nil
}

// environment settles the compute type, and the environment type where the project says
// none; what that is for is the platform, where it is not this machine's.
func (p *Plan) environment(in Inputs) {
	p.ComputeType = cmp.Or(in.ComputeType, in.Project.Environment.ComputeType)
	if p.EnvironmentType == "" {
		p.EnvironmentType = compute.EnvironmentOf(p.ComputeType, p.Image)
	}
	if wanted := compute.Platform(p.EnvironmentType); p.Platform == "" && wanted != "" && wanted != in.Native && in.Native != "" {
		p.Platform = wanted
	}
}

// limits are those of the compute type, or of what the project says of an instance;
// without a compute type there are none.
func (p *Plan) limits(e project.Environment, asked string) {
	m := compute.Size(p.EnvironmentType, p.ComputeType)
	if asked == "" && (e.Compute.VCPU > 0 || e.Compute.Memory > 0) {
		const gib = 1 << 30
		m = compute.Machine{VCPU: e.Compute.VCPU, Memory: int64(e.Compute.Memory) * gib}
	}
	p.Limits = engine.Limits{CPUs: float64(m.VCPU), Memory: m.Memory}
}

// noPhases tells a buildspec that can only be run as a batch.
func noPhases(spec *buildspec.Buildspec) diag.List {
	problem := spec.At(0, 0, 0, "the buildspec has only a batch section; expected phases: write them, or name the buildspec of one of its builds with --buildspec")
	problem.Name, problem.Service = buildspec.OnlyBatch, "wrong number of container tags, expected 1"
	return diag.List{problem}
}

// shellOf: without env.shell commands run in the image's sh (documented).
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

func (p *Plan) images(in Inputs) {
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
	names := project.ImageSpellings(wanted)
	if _, unpublished := project.Unpublished(wanted); unpublished {
		p.Alias, p.Images, p.NoImage = wanted, nil, waysOn(wanted, in.Default, in.Spec)
		return
	}
	p.Images = names
	if len(names) > 1 { // a curated image: only a local one has the configured name
		p.Alias, p.Images = names[0], names[1:]
	}
}

// sources lays the sources out as the service does: GOPATH-style for git
// remotes, each under a directory with random digits (observed).
func (p *Plan) sources(all []Source) {
	for _, s := range all {
		s.Top = path.Join(p.outputDir(), "src"+s.Digits)
		s.Path = path.Join(s.Top, "src", s.Repo)
		s.Tree.Path = s.Path
		p.Sources = append(p.Sources, s)
	}
	if !path.IsAbs(p.Location) {
		p.Location = path.Join(p.Sources[0].Path, p.Location)
	}
}

func (p *Plan) phases(spec *buildspec.Buildspec) {
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

// packages settles how artifacts are packed, and what the service would call them.
func (p *Plan) packages(in Inputs) {
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
			Name: a.Name, Own: a.OverrideName || a.Type == "", Path: a.Path, ByID: a.NamespaceType == "BUILD_ID", Bucket: a.Type == "S3",
			Zip: in.Zip || a.Packaging == "ZIP" || a.Type == "CODEPIPELINE", // which always packs them (documented)
		}
	}
}

func (p *Plan) variables(in Inputs) {
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

// Needs returns the variables whose values stand elsewhere.
func (p *Plan) Needs() []secrets.Request {
	var needs []secrets.Request
	for _, v := range p.Variables {
		if v.Stored != nil {
			needs = append(needs, *v.Stored)
		}
	}
	return needs
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

// user returns who runs the phase; empty for root. A phase without commands is
// root's.
func (ph Phase) user() string {
	if ph.RunAs == "root" || len(ph.Commands)+len(ph.Finally) == 0 {
		return ""
	}
	return ph.RunAs
}

// users returns who runs commands, but for root.
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

// scriptLine is how shells tell the line of the script they fail at.
var scriptLine = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`script\.sh: (?:line )?(\d+):`)
})

// textLine is the line of script.sh where a command's text begins (observed).
const textLine = 4

// failed returns the place of a failed command in the buildspec, for a person:
// the line the shell complained about last, else the first.
func (p *Plan) failed(c buildspec.Command, printed string, mask *secrets.Mask) string {
	lines := strings.Split(strings.TrimRight(c.Text, "\n"), "\n")
	at := 0
	if found := scriptLine().FindAllStringSubmatch(printed, -1); len(found) > 0 && c.Style == buildspec.Literal {
		n, _ := strconv.Atoi(found[len(found)-1][1])
		at = max(0, min(n-textLine, len(lines)-1))
	}
	problem := p.spec.At(c.Line+at, c.Column, max(1, len([]rune(mask.Text(lines[at])))), "")
	problem.Excerpt = mask.Text(problem.Excerpt)
	return problem.String()
}
