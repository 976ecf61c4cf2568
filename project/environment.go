package project

import (
	"math"
	"strings"

	"github.com/buildlocal/buildlocal/compute"
	"github.com/buildlocal/buildlocal/internal/diag"
)

// environment reads a ProjectEnvironment of the API. CodeBuild adds environment types and
// compute types from time to time, so an unknown one is only a warning.
func (r *reader) environment(n node) Environment {
	var e Environment
	for _, f := range r.entries(n) {
		switch f.name {
		case "type":
			e.Type = r.word(f.value, compute.EnvironmentTypes, diag.Warning)
		case "image":
			e.Image = r.text(f.value)
		case "computeType":
			e.ComputeType = r.word(f.value, compute.Types, diag.Warning)
		case "computeConfiguration":
			e.Compute = r.compute(f.value)
		case "environmentVariables":
			e.Variables = r.variables(f.value)
		case "privilegedMode":
			e.Privileged = r.flag(f.value)
		case "certificate":
			e.Certificate = r.optionalText(f.value)
		case "registryCredential":
			e.RegistryCredential = r.registryCredential(f.value)
		case "imagePullCredentialsType":
			e.ImagePullCredentials = r.word(f.value, pullCredentials, diag.Error)
		case "fleet", "dockerServer", "hostKernel":
			// Fleets and servers of CodeBuild do not exist in a local build.
		default:
			r.unknown(f, environmentKeys)
		}
	}
	r.checkCompute(n.child("computeType"), e)
	return e
}

// checkCompute warns if a compute type is not offered for the environment type.
func (r *reader) checkCompute(n node, e Environment) {
	sizes, ok := compute.Offered(e.Type, e.ComputeType)
	if ok {
		return
	}
	r.problem(diag.Warning, n, "%s is not offered for %s", e.ComputeType, e.Type).
		Hint = "use " + diag.Alternatives(sizes)
}

// compute reads a ComputeConfiguration of the API.
func (r *reader) compute(n node) Compute {
	var c Compute
	for _, f := range r.entries(n) {
		switch f.name {
		case "vCpu":
			c.VCPU = r.number(f.value, bounds{most: math.MaxInt32})
		case "memory":
			c.Memory = r.number(f.value, bounds{most: math.MaxInt32})
		case "disk":
			c.Disk = r.number(f.value, bounds{most: math.MaxInt32})
		case "machineType":
			c.MachineType = r.word(f.value, machineTypes, diag.Warning)
		case "instanceType":
			c.InstanceType = r.text(f.value)
		default:
			r.unknown(f, computeKeys)
		}
	}
	return c
}

// registryCredential returns the secret's name or ARN.
func (r *reader) registryCredential(n node) (secret string) {
	for _, f := range r.entries(n) {
		switch f.name {
		case "credential":
			secret = r.optionalText(f.value)
		case "credentialProvider": // SECRETS_MANAGER is the only one
		default:
			r.unknown(f, credentialKeys)
		}
	}
	return secret
}

// variables reads environmentVariables. If a name occurs twice, the last value wins.
func (r *reader) variables(n node) []Variable {
	var all []Variable
	lines := map[string]int{}
	for _, item := range r.items(n) {
		v, ok := r.variable(item)
		if !ok {
			continue
		}
		if before, ok := lines[v.Name]; ok {
			r.problem(diag.Warning, item.child("name"), "%s is already defined on line %d; the last definition wins", v.Name,
				before)
		}
		lines[v.Name] = v.Line
		all = append(all, v)
	}
	return lastOfEach(all)
}

// variable reads one EnvironmentVariable of the API. ok reports whether it can be set.
func (r *reader) variable(n node) (v Variable, ok bool) {
	before := r.counts[diag.Error]
	v = Variable{Type: Plaintext, Line: n.Line}
	// A variable whose value is unknown is not set, rather than set to an empty string.
	function := false
	for _, f := range r.entries(n) {
		switch f.name {
		case "name":
			v.Name = r.text(f.value)
		case "value":
			function = isFunction(f.value)
			v.Value = r.variableValue(f.value)
		case "type":
			if t := r.word(f.value, variableTypes, diag.Error); t != "" {
				v.Type = VariableType(t)
			}
		default:
			r.unknown(f, variableKeys)
		}
	}
	if r.counts[diag.Error] == before {
		r.checkVariable(n, v)
	}
	return v, !function && r.counts[diag.Error] == before
}

// variableValue reads a value. A function of CloudFormation is only a warning, because the
// user can set the variable on the command line.
func (r *reader) variableValue(n node) string {
	if isFunction(n) {
		r.problem(diag.Warning, n, "%s is ignored, because only CloudFormation can evaluate %s", n.path, n.kind()).
			Hint = "set the variable with --env"
		return ""
	}
	value := r.text(n)
	if strings.ContainsRune(value, 0) {
		r.problem(diag.Error, n, "%s contains a NUL character", n.path).Hint = "remove it"
	}
	return value
}

// checkVariable checks the name and value of a variable that could be read.
func (r *reader) checkVariable(n node, v Variable) {
	name := n.child("name")
	if name.null() {
		r.problem(diag.Error, n, "the variable has no name").Hint = "write {name, value, type}"
		return
	}
	switch {
	case !ValidName(v.Name):
		r.problem(diag.Error, name, "%s", badName(v.Name)).Hint = nameHint
	case ReservedName(v.Name):
		r.problem(diag.Warning, name, "%s", reservedName(v.Name)).Hint = "use another name"
	}
	if n.child("value").null() {
		r.problem(diag.Warning, n, "%s has no value; it is set to the empty string", shown(v.Name))
	}
}
