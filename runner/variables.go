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

// Variable is one variable of the build, and where it came from.
type Variable struct {
	Name     string
	Value    string // literal; shell text when Expand is set
	Expand   bool   // what the image says is drawn in: PATH, GOPATH
	Secret   bool   // never shown
	Password string // a part of Value that is secret by itself; empty for none
	Early    bool   // a privileged container has it from its start
	Stored   *secrets.Request
	Replaced *secrets.Request // what it replaces that stands in a store; nil for none
	Origin   string           // such as buildspec.yml:5, project.json, -e, the service
	Hides    []string         // origins of values this one replaces, the nearest first
}

// Shown is the value as a person may see it.
func (v Variable) Shown() string {
	switch {
	case v.Stored != nil:
		return fmt.Sprintf("from %s %s", v.Stored.Kind, v.Stored.Ref)
	case v.Secret:
		return secrets.Placeholder
	}
	return v.Value
}

// variables collects definitions from the weakest to the strongest: buildspec,
// project, start of the build, service. A definition replaces one of the same
// name and adds nothing to it (documented).
type variables struct {
	all []Variable
	at  map[string]int
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
	// What a buildspec or a project keeps in a store stays secret wherever the
	// value comes from this time.
	v.Secret = v.Secret || old.Secret || old.Stored != nil
	if v.Replaced = old.Replaced; old.Stored != nil {
		v.Replaced = old.Stored
	}
	vs.all[i] = v
}

// fromBuildspec: within one buildspec the order is not documented; here a
// secret beats a parameter, which beats a plain variable.
func (vs *variables) fromBuildspec(b *buildspec.Buildspec) {
	origin := func(v buildspec.Variable) string { return fmt.Sprintf("%s:%d", b.File, v.Line) }
	for _, v := range b.Env.Variables {
		vs.set(Variable{Name: v.Name, Value: v.Value, Origin: origin(v)})
	}
	for _, v := range b.Env.ParameterStore {
		vs.set(Variable{Name: v.Name, Origin: origin(v), Stored: &secrets.Request{Name: v.Name, Kind: secrets.ParameterStore, Ref: v.Value}})
	}
	for _, v := range b.Env.SecretsManager {
		vs.set(Variable{Name: v.Name, Origin: origin(v), Stored: &secrets.Request{Name: v.Name, Kind: secrets.SecretsManager, Ref: v.Value}})
	}
}

func (vs *variables) fromProject(all []project.Variable, origin string) {
	for _, v := range all {
		where := origin
		if v.Line > 0 {
			where = fmt.Sprintf("%s:%d", origin, v.Line)
		}
		next := Variable{Name: v.Name, Value: v.Value, Origin: where}
		if v.Type == project.ParameterStore || v.Type == project.SecretsManager {
			next.Value = ""
			next.Stored = &secrets.Request{Name: v.Name, Kind: secrets.Kind(v.Type), Ref: v.Value}
		}
		vs.set(next)
	}
}

// serviceOrigin is where a variable is from that the service sets.
const serviceOrigin = "the service"

// fromService sets what the service sets: names it keeps for itself, so nothing
// else may. The values are the ones of the page "Environment variables in build
// environments" and of public dumps of whole environments.
func (vs *variables) fromService(p *Plan) {
	set := func(name, value string) { vs.set(Variable{Name: name, Value: value, Origin: serviceOrigin}) }
	id := p.Identity
	if _, given := vs.at[composeProject]; p.Socket && !given {
		set(composeProject, "build-"+id.UUID[:min(len(id.UUID), shortUUID)])
	}
	for _, name := range []string{"AWS_DEFAULT_REGION", "AWS_REGION"} {
		if _, given := vs.at[name]; !given { // seen to be set by users with effect
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
	set("CODEBUILD_BUILD_URL", fmt.Sprintf("https://%s.console.aws.amazon.com/codebuild/home?region=%s#/builds/%s/view/new", id.Region, id.Region, id.BuildID()))
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

// extend adds a directory to a list of them (observed for both that have it):
// to the image's, which image stands for, or to what replaces that.
func (vs *variables) extend(name, image, dir string) {
	i, given := vs.at[name]
	if !given {
		vs.set(Variable{Name: name, Value: image + dir, Expand: true, Origin: serviceOrigin})
		return
	}
	if v := &vs.all[i]; v.Stored == nil {
		v.Value += ":" + dir
	}
}

// home is /root whatever the image says (documented); only /tmp can be written
// to on Lambda compute.
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

// environment writes down the build's variables, with what is secret hidden.
func (b *build) environment() []EnvironmentVariable {
	var all []EnvironmentVariable
	for _, v := range b.plan.Variables {
		e := EnvironmentVariable{Name: v.Name, Value: b.mask.Text(v.Shown()), Type: "PLAINTEXT", Origin: v.Origin}
		if v.Stored != nil {
			e.Type, e.Value = string(v.Stored.Kind), v.Stored.Ref
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b EnvironmentVariable) int { return strings.Compare(a.Name, b.Name) })
	return all
}
