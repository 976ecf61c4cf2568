package local

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/rundir"
	"github.com/buildlocal/buildlocal/lint"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/secrets"
	"github.com/buildlocal/buildlocal/source"
)

// Inputs is everything that a build is made of, as it was read from the host.
type Inputs struct {
	Request     *Request
	Source      *source.Source
	Spec        *buildspec.Buildspec
	Project     project.Project
	ProjectName string
	SecretsFile *secrets.File // nil if it does not exist
	Builds      *builds.Store // the output directory
	Problems    diag.List     // warnings and lints, and errors if Load failed

	text    BuildspecText  // of the buildspec
	oldText *BuildspecText // to be used instead of the one on disk; nil for that
	failed  *FailedBuild   // that goes on; nil for a build that begins
	useless bool           // its state can no longer be used

	host         *Host
	run          *rundir.Dir
	sources      []runner.Source // the primary source first
	secondary    []openedSource
	location     string // of the buildspec below the source; "" if it is not in it
	inline       string // the text of the buildspec if it has no location
	overrides    []runner.Override
	unset        func() map[int][]string          // see runner.Plan
	hidden       func() map[int]map[string]string // see runner.Plan
	certificates []byte                           // PEM
	credentialID string                           // secret part of the path at which the build gets its credentials
	aws          awsAccess
}

// Close removes the temporary files of the inputs.
func (in *Inputs) Close() {
	in.run.Remove()
	if in.useless {
		in.host.dropRuns(context.Background(), []string{in.run.Path})
	}
}

// Load reads the inputs of a build. With an error, the inputs that were read are
// returned too, to show their problems, and must be closed if they are not nil. All errors
// that do not follow from others are joined. If everything except the buildspec could be
// read, the error is a BuildspecError.
func (h *Host) Load(ctx context.Context, r *Request) (*Inputs, error) {
	return h.load(ctx, r, fileAndAccount)
}

// LoadWithoutAccount is Load without the user's AWS account.
func (h *Host) LoadWithoutAccount(ctx context.Context, r *Request) (*Inputs, error) {
	return h.load(ctx, r, fileOnly)
}

// LoadWithoutSecrets is Load without the secrets file and the user's AWS account.
func (h *Host) LoadWithoutSecrets(ctx context.Context, r *Request) (*Inputs, error) {
	return h.load(ctx, r, noSecrets)
}

// secretInputs are the places of secrets that are opened.
type secretInputs int

const (
	noSecrets secretInputs = iota
	fileOnly
	fileAndAccount
)

// load reads the inputs in the order in which they depend on each other: the project decides
// how the source looks, and the buildspec may be in the source or the project. The buildspec
// is the last: a BuildspecError means that everything else was read. The account of the user is
// opened only if there was no error before.
func (h *Host) load(ctx context.Context, r *Request, from secretInputs) (*Inputs, error) {
	run, err := h.Runs().New(h.PID)
	if err != nil {
		return nil, err
	}
	return h.loadIn(ctx, r, from, run, nil)
}

// loadIn is load in the directory of a run. It reads text instead of the buildspec unless it is nil.
func (h *Host) loadIn(
	ctx context.Context, r *Request, from secretInputs, run *rundir.Dir, text *BuildspecText,
) (*Inputs, error) {
	ctx, cancel := readingTime(ctx, r.Engine.Timeout)
	defer cancel()
	// From here on an error is returned with the inputs, whose Close removes the run.
	in := &Inputs{Request: r, host: h, run: run, credentialID: newUUID(), oldText: text}
	errs := in.loadAll(ctx, from)
	if ctx.Err() != nil && len(errs) > 0 { // the steps that were cut short have the same reason
		return in, errs[0]
	}
	return in, joinErrors(errs)
}

// loadAll reads the inputs and returns all errors, so that the user can correct them at once.
func (in *Inputs) loadAll(ctx context.Context, from secretInputs) []error {
	h, r := in.host, in.Request
	var errs []error
	note := func(problems diag.List, err error) {
		in.Problems = append(in.Problems, problems...)
		if err != nil {
			errs = append(errs, err)
		}
	}
	var problems, wrong diag.List
	var projectErr, err error
	in.Project, problems, projectErr = r.ReadProject(ctx)
	note(nil, in.openSources(ctx))
	note(problems, projectErr)
	located := in.Builds != nil // else the source has no directory in which other files could be
	if in.Source != nil {       // which gives the name
		in.ProjectName = in.projectName()
	}
	in.overrides, wrong, err = h.readVariables(ctx, r)
	note(wrong, err)
	in.certificates, err = r.readCertificates(ctx)
	note(nil, err)
	if from != noSecrets && (located || r.Secrets.File != "") {
		note(nil, in.loadSecrets(ctx, from == fileAndAccount && len(errs) == 0))
	}
	if in.Builds == nil || projectErr != nil && r.Source.Buildspec == "" {
		return errs // the place of the buildspec is unknown
	}
	if err := h.readBuildspec(ctx, r, in); err != nil && len(errs) == 0 {
		errs = append(errs, in.buildspecError(err))
	} else if err != nil {
		errs = append(errs, err)
	}
	return errs
}

// buildspecError returns the error of a build whose other inputs could be read.
func (in *Inputs) buildspecError(err error) error {
	wrong := BuildspecError{error: err, SourceDir: runner.SourceDir(in.sources[0])}
	name := filepath.ToSlash(cmp.Or(in.Request.Source.Buildspec, in.Project.Source.Buildspec))
	if !path.IsAbs(name) {
		wrong.Name = name
	}
	return wrong
}

// loadSecrets reads the secrets file and, if that worked and account is true, opens the user's
// AWS account.
func (in *Inputs) loadSecrets(ctx context.Context, account bool) error {
	file, problems, err := in.host.readSecrets(ctx, in.Request)
	in.SecretsFile = file
	in.Problems = append(in.Problems, problems...)
	if err != nil || !account {
		return err
	}
	in.aws, err = in.host.openAWS(ctx, in.Request, in.ProjectName)
	return err
}

// readingTime returns a context that ends with ErrReadTimeout, if the build has a
// timeout: a named pipe without a writer would be read forever. The context is not
// cancelled when reading is finished, because open inputs keep it.
func readingTime(ctx context.Context, timeout time.Duration) (context.Context, func()) {
	if timeout <= 0 {
		return ctx, func() {}
	}
	limited, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(timeout, func() { cancel(ErrReadTimeout) })
	return limited, func() { timer.Stop() }
}

// joinErrors returns nil, the only error, or all of them.
func joinErrors(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// notInNames matches characters that the name of a project must not contain (documented).
var notInNames = lazyRegexp(`[^A-Za-z0-9_-]+`)

// projectName returns the name of the project, which without a project file is the name
// of the source's directory.
func (in *Inputs) projectName() string {
	name := cmp.Or(in.Request.Source.ProjectName, in.Project.Name)
	if name == "" {
		if abs, err := filepath.Abs(in.Source.From); err == nil {
			name = filepath.Base(abs)
		}
	}
	name = strings.Trim(notInNames().ReplaceAllString(name, "-"), "-")
	if name == "" {
		return "project"
	}
	return name
}

// identity returns the identity of a build with the given number. The account and an
// empty UUID are zeros, because no account is asked.
func (in *Inputs) identity(number int, id string) runner.Identity {
	h := in.host
	if id == "" {
		id = uuid.Nil.String()
	}
	region := in.Request.Variables.Region
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if region == "" {
			region = h.Env(name)
		}
	}
	if region == "" && in.aws.account != nil {
		region = in.aws.account.Region()
	}
	if region == "" {
		region = "us-east-1"
	}
	return runner.Identity{
		Number: number, UUID: id, Project: in.ProjectName, Start: h.Now(), Account: "000000000000",
		Region: region, Initiator: initiator(in.Project.Source, in.ProjectName, h.User),
		// A project's ID is the same in all its builds, here and on other machines.
		ProjectUUID: uuid.NewSHA1(uuid.NameSpaceURL, []byte("buildlocal:"+in.ProjectName)).String(),
	}
}

// newPlan decides everything that a build will do on an engine. It has no effects.
func (in *Inputs) newPlan(id runner.Identity, e *chosenEngine, proxies []project.Variable) (*runner.Plan, error) {
	r := in.Request
	credentialID := ""
	if r.grants() {
		credentialID = in.credentialID
		if r.DryRun {
			credentialID = id.UUID // does not change from one run to the next
		}
	}
	location := in.location
	if location == "" {
		location = "/codebuild/readonly/buildspec.yml" // observed in CodeBuild for an inline buildspec
	}
	plan, err := runner.NewPlan(runner.Inputs{
		Spec: in.Spec, Location: location, Inline: in.inline, Project: in.Project, ProjectFile: r.Source.Project,
		Sources: in.sources, Identity: id, Overrides: in.overrides, Timeout: r.Engine.Timeout,
		Image: r.Image.Name, StandIns: r.substitutes(), Digest: r.Image.Digest, Pull: engine.Pull(r.Image.Pull),
		Platform: r.Image.Platform, Native: NativePlatform(), Default: project.DefaultImage(runtime.GOARCH),
		ComputeType: r.Engine.ComputeType, Socket: r.Engine.Docker == "socket", Privileged: r.Engine.Privileged,
		Unprivileged: !r.Engine.Privileged && r.origin("privileged") == FromCaller,
		Host:         proxies, Certificates: in.certificates, CABundle: r.Variables.CABundle,
		CredentialID: credentialID, Grant: r.grant(), GitCredentials: r.Secrets.GitCredentials,
		MaskEncoded: r.Secrets.MaskEncoded, Metadata: r.Secrets.Metadata, Lints: in.Problems, Unset: in.unset,
		UnsetHint: lint.UnsetHint, Hidden: in.hidden,
		Zip: r.Output.Zip, CachePlace: in.host.cachePlace(r), Engine: e.String(), Place: e.place,
		Checkout: in.Source.Version(),
	})
	if err == nil {
		r.Access.grantAccess(plan)
		r.Repeats.identify(plan)
	}
	return plan, err
}

// Plan returns the plan without choosing an engine, for a look at its variables or its
// image.
func (in *Inputs) Plan() (*runner.Plan, error) {
	proxies, _ := in.host.proxies(false)
	return in.newPlan(in.identity(in.Builds.Next(), ""), &chosenEngine{}, proxies)
}

func newUUID() string { return uuid.NewString() }

// newNonce returns an unguessable text of letters and digits.
func newNonce() string { return strings.ToLower(rand.Text()) }

// newSourceDigits returns the digits in the name of a source's directory. CodeBuild uses
// eight to ten (observed).
func newSourceDigits() string {
	n, err := rand.Int(rand.Reader, big.NewInt(9_000_000_000))
	if err != nil {
		panic(err) // rand.Reader never fails
	}
	return fmt.Sprint(n.Int64() + 1_000_000_000)
}
