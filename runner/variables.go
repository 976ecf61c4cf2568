package runner

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/compute"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/secrets"
)

// Variable is one variable of the build and its origin.
type Variable struct {
	Name     string
	Value    secrets.Value    // empty if Stored is set; shell text if Expand is set
	Expand   bool             // the value refers to the image's: PATH, GOPATH
	Secret   bool             // never shown
	Password secrets.Value    // a part of Value that is a secret of its own, in a proxy's URL
	Early    bool             // a privileged container has it before the build's shell starts
	Stored   *secrets.Request // reference to the value in a store; nil for a literal value
	Replaced *secrets.Request // of a definition that this one replaces; nil without one
	Origin   string           // such as buildspec.yml:5, project.json, -e, the service
	Hides    []string         // origins of the replaced definitions, nearest first
}

// Shown returns the value for the user: of a variable from a store its reference, of a
// secret a placeholder.
func (v Variable) Shown() string {
	switch {
	case v.Stored != nil:
		return fmt.Sprintf("from %s %s", v.Stored.Kind, v.Stored.Ref)
	case v.Secret:
		return secrets.Placeholder
	}
	return v.Value.Reveal()
}

// variables collects definitions in the order of precedence, lowest first: buildspec,
// project, start of the build, service. A definition replaces one of the same name
// completely (documented).
type variables struct {
	all []Variable
	at  map[string]int // indexes in all, by name
}

func (vs *variables) set(v Variable) {
	if vs.at == nil {
		vs.at = map[string]int{}
	}
	i, again := vs.at[v.Name]
	if !again {
		vs.at[v.Name] = len(vs.all)
		vs.all = append(vs.all, v)
		return
	}
	old := vs.all[i]
	v.Hides = append([]string{old.Origin}, old.Hides...)
	// The value of a variable that a buildspec or project reads from a store is secret,
	// even if this build gets it from another place.
	v.Secret = v.Secret || old.Secret || old.Stored != nil
	if v.Replaced = old.Replaced; old.Stored != nil {
		v.Replaced = old.Stored
	}
	vs.all[i] = v
}

// setText sets a variable to a literal value that is not secret.
func (vs *variables) setText(name, value, origin string) {
	vs.set(Variable{Name: name, Value: secrets.NewValue(value), Origin: origin})
}

// fromBuildspec sets the variables of a buildspec. The precedence of its sections is not
// documented; here secrets-manager wins over parameter-store, which wins over variables.
func (vs *variables) fromBuildspec(b *buildspec.Buildspec) {
	origin := func(v buildspec.Variable) string { return buildspecOrigin(b.File, v.Line) }
	for _, v := range b.Env.Variables {
		vs.setText(v.Name, v.Value, origin(v))
	}
	stored := func(all []buildspec.Variable, kind secrets.Kind) {
		for _, v := range all {
			request := &secrets.Request{Name: v.Name, Kind: kind, Ref: v.Value}
			vs.set(Variable{Name: v.Name, Origin: origin(v), Stored: request})
		}
	}
	stored(b.Env.ParameterStore, secrets.ParameterStore)
	stored(b.Env.SecretsManager, secrets.SecretsManager)
}

// buildspecOrigin returns the origin of a variable in a line of the buildspec.
func buildspecOrigin(file string, line int) string { return fmt.Sprintf("%s:%d", file, line) }

func (vs *variables) fromProject(all []project.Variable, origin string) {
	for _, v := range all {
		next := Variable{Name: v.Name, Value: secrets.NewValue(v.Value), Origin: origin}
		if v.Line > 0 {
			next.Origin = fmt.Sprintf("%s:%d", origin, v.Line)
		}
		if v.Type == project.ParameterStore || v.Type == project.SecretsManager {
			next.Value = secrets.Value{}
			next.Stored = &secrets.Request{Name: v.Name, Kind: secrets.Kind(v.Type), Ref: v.Value}
		}
		vs.set(next)
	}
}

// ServiceOrigin is the origin of variables that the service sets.
const ServiceOrigin = "the service"

// fromService sets the variables of the service, which always win, with few exceptions.
// The values are those of the page "Environment variables in build environments" and of
// public logs that print the whole environment.
func (vs *variables) fromService(p *Plan) {
	set := func(name, value string) { vs.setText(name, value, ServiceOrigin) }
	id := p.Identity
	if _, given := vs.at[composeProject]; p.Socket && !given {
		set(composeProject, "build-"+id.UUID[:min(len(id.UUID), shortUUID)])
	}
	for _, name := range []string{"AWS_DEFAULT_REGION", "AWS_REGION"} {
		if _, given := vs.at[name]; !given { // users can override them (observed)
			set(name, id.Region)
		}
	}
	set("CODEBUILD_AGENT_ENDPOINT", "http://127.0.0.1:7831")
	set("CODEBUILD_AUTH_TOKEN", id.UUID)
	set("CODEBUILD_BMR_URL", "https://CODEBUILD_AGENT:3000")
	set("CODEBUILD_BUILD_ARN", id.ARN())
	set("CODEBUILD_BUILD_ID", id.BuildID())
	set("CODEBUILD_BUILD_IMAGE", p.Image)
	set("CODEBUILD_BUILD_NUMBER", fmt.Sprint(id.Number))
	set("CODEBUILD_BUILD_SUCCEEDING", "1")
	set("CODEBUILD_BUILD_URL", id.consoleURL())
	set("CODEBUILD_CI", "true")
	set("CODEBUILD_CONTAINER_NAME", "default")
	set("CODEBUILD_EXECUTION_ROLE_BUILD", "")
	set("CODEBUILD_FE_REPORT_ENDPOINT", "https://codebuild."+id.Region+".amazonaws.com/")
	set("CODEBUILD_GOPATH", p.Sources[0].Top)
	set("CODEBUILD_INITIATOR", id.Initiator)
	set("CODEBUILD_KMS_KEY_ID", p.kmsKey())
	set("CODEBUILD_LAST_EXIT", "0")
	set("CODEBUILD_LOG_PATH", path.Join(p.LogPrefix, id.UUID))
	set("CODEBUILD_PROJECT_ARN", id.arn("project/"+id.Project))
	set("CODEBUILD_PROJECT_UUID", id.ProjectUUID)
	set("CODEBUILD_SOURCE_VERSION", p.Sources[0].Version)
	set("CODEBUILD_SRC_DIR", p.Sources[0].Path)
	set("CODEBUILD_SOURCE_REPO_URL", p.Sources[0].URL)
	set("CODEBUILD_START_TIME", fmt.Sprint(id.Start.UnixMilli()))
	set("AWS_EXECUTION_ENV", "AWS_ECS_EC2")
	for _, s := range p.Sources[1:] {
		set("CODEBUILD_SRC_DIR_"+s.ID, s.Path)
		set("CODEBUILD_SOURCE_VERSION_"+s.ID, s.Version)
		set("CODEBUILD_SOURCE_REPO_URL_"+s.ID, s.URL)
	}
	set("HOME", p.home())
	set("OLDPWD", readonlyDir)
	vs.extend("PATH", "$PATH:", userBin)
	vs.extend("GOPATH", "${GOPATH:+$GOPATH:}", p.Sources[0].Top)
}

// extend appends a directory to a list of directories (observed for PATH and GOPATH): to
// the build's own value, else to the image's, which prefix refers to.
func (vs *variables) extend(name, prefix, dir string) {
	i, given := vs.at[name]
	if !given {
		vs.set(Variable{Name: name, Value: secrets.NewValue(prefix + dir), Expand: true, Origin: ServiceOrigin})
		return
	}
	if v := &vs.all[i]; v.Stored == nil {
		v.Value = secrets.NewValue(v.Value.Reveal() + ":" + dir)
	}
}

// home returns the value of HOME: /root for every image (documented), and on Lambda
// compute the only directory that is writable.
func (p *Plan) home() string {
	if compute.IsLambda(p.EnvironmentType) {
		return "/tmp"
	}
	return "/root"
}

func (p *Plan) kmsKey() string {
	if p.EncryptionKey != "" {
		return p.EncryptionKey
	}
	return p.Identity.kmsDefault()
}

// environment returns the build's variables as the record lists them, sorted by name. The
// recorder masks their values.
func (b *build) environment() []EnvironmentVariable {
	var all []EnvironmentVariable
	for _, v := range b.plan.Variables {
		e := EnvironmentVariable{Name: v.Name, Value: v.Shown(), Type: "PLAINTEXT", Origin: v.Origin}
		if v.Stored != nil {
			e.Type, e.Value = string(v.Stored.Kind), v.Stored.Ref
		}
		if value := b.values[v.Name].Reveal(); b.Key != nil && value != "" && (v.Secret || v.Stored != nil) {
			e.Hash = b.Key(v.Name + "=" + value)
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b EnvironmentVariable) int { return strings.Compare(a.Name, b.Name) })
	return all
}
