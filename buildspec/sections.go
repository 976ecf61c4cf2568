package buildspec

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// The keys of each section, in the order of the reference.
var (
	topKeys      = []string{"version", "run-as", "env", "proxy", "batch", "phases", "reports", "artifacts", "cache"}
	envKeys      = []string{"shell", "variables", "parameter-store", "secrets-manager", "exported-variables", "git-credential-helper"}
	phaseKeys    = []string{"run-as", "on-failure", "runtime-versions", "commands", "finally"}
	phaseNames   = []string{"install", "pre_build", "build", "post_build"}
	artifactKeys = []string{"files", "name", "discard-paths", "base-directory", "exclude-paths", "enable-symlinks", "s3-prefix", "secondary-artifacts"}
	reportKeys   = []string{"files", "base-directory", "discard-paths", "file-format"}
	cacheKeys    = []string{"paths", "key", "fallback-keys", "action"}
	proxyKeys    = []string{"upload-artifacts", "logs"}

	// Formats are the report formats the service reads.
	Formats = []string{"JUNITXML", "NUNITXML", "NUNIT3XML", "TESTNGXML", "VISUALSTUDIOTRX", "CUCUMBERJSON", "CLOVERXML", "COBERTURAXML", "JACOCOXML", "SIMPLECOV"}
)

func (p *parser) top(root *yaml.Node) {
	var version, phases *entry
	entries := p.entries(root, "")
	for _, e := range entries {
		if e.name == "version" {
			version = &e
			p.version(e.value)
		}
	}
	for _, e := range entries {
		p.warnNewer(e, "", newKeys)
		switch e.name {
		case "version":
		case "run-as":
			p.spec.RunAs = p.text(e.value, "run-as")
		case "env":
			p.env(e.value)
		case "environment_variables":
			p.oldEnv(e)
		case "proxy":
			p.proxy(e.value)
		case "batch":
			p.spec.Batch = true
		case "phases":
			phases = &e
			p.phases(e.value)
		case "reports":
			p.reports(e.value)
		case "artifacts":
			a := p.artifacts(e.value, "artifacts", "artifacts")
			p.spec.Artifacts = &a
		case "cache":
			p.cache(e.value)
		default:
			p.unknown(e, "buildspec", "", topKeys)
		}
	}
	p.required(root, version, phases)
}

// newKeys belong to version 0.2. What the service does with them in 0.1 is not
// known: they are read, with a warning.
var (
	newKeys      = []string{"run-as", "env", "proxy", "batch", "reports", "cache"}
	newPhaseKeys = []string{"run-as", "on-failure", "finally"}
)

func (p *parser) warnNewer(e entry, path string, newer []string) {
	if p.spec.Version == "0.1" && slices.Contains(newer, e.name) {
		p.warn(e.key, join(path, e.name), "%s belongs to version 0.2 and may count for nothing in 0.1; write version: 0.2", e.name)
	}
}

// required checks that the document is a buildspec at all. One with only a
// batch section is legal, also without a version (observed).
func (p *parser) required(root *yaml.Node, version, phases *entry) {
	if version == nil && !p.spec.Batch {
		p.fail(root, "version", "the buildspec has no version; expected version: 0.2 at the top").Service = emptyDocument
	}
	if phases == nil && !p.spec.Batch {
		p.fail(root, "phases", "the buildspec has no phases; expected phases: with at least one of %s", strings.Join(phaseNames, ", ")).Service = emptyDocument
	}
}

func (p *parser) version(node *yaml.Node) {
	p.spec.Version = strings.TrimSpace(p.text(node, "version"))
	switch p.spec.Version {
	case "0.1", "0.2":
	case "":
		p.fail(node, "version", "version is empty; expected 0.2").Service = emptyDocument
	default:
		p.warn(node, "version", "unknown version %s; read as 0.2 (expected 0.1 or 0.2)", p.spec.Version)
	}
}

func (p *parser) env(node *yaml.Node) {
	for _, e := range p.entries(node, "env") {
		path := "env." + e.name
		switch e.name {
		case "shell":
			p.spec.Env.Shell = p.text(e.value, path)
		case "variables":
			p.spec.Env.Variables = p.named(p.variables(e.value, path), path)
		case "parameter-store":
			p.spec.Env.ParameterStore = p.named(p.variables(e.value, path), path)
		case "secrets-manager":
			p.spec.Env.SecretsManager = p.named(p.variables(e.value, path), path)
		case "exported-variables":
			p.spec.Env.ExportedVariables = p.list(e.value, path)
		case "git-credential-helper":
			p.spec.Env.GitCredentialHelper = p.truth(e.value, path)
		default:
			p.unknown(e, "env", "env", envKeys)
		}
	}
}

// oldEnv reads environment_variables of version 0.1; 0.2 does not know it.
func (p *parser) oldEnv(section entry) {
	if p.spec.Version != "0.1" {
		p.unknown(section, "buildspec", "", topKeys)
		return
	}
	for _, e := range p.entries(section.value, "environment_variables") {
		if e.name != "plaintext" {
			p.unknown(e, "environment_variables", "environment_variables", []string{"plaintext"})
			continue
		}
		const path = "environment_variables.plaintext"
		p.spec.Env.Variables = append(p.spec.Env.Variables, p.named(p.variables(e.value, path), path)...)
	}
}

// named checks that variables have names a shell can set.
func (p *parser) named(all []Variable, path string) []Variable {
	for _, v := range all {
		problem := p.spec.At(v.Line, v.Column, len([]rune(v.Name)), "")
		problem.Path = join(path, v.Name)
		switch {
		case !isName(v.Name):
			problem.Message = fmt.Sprintf("%q cannot be the name of a variable; expected letters, digits and _, not a digit first", v.Name)
		case strings.HasPrefix(v.Name, "CODEBUILD_") && !strings.HasPrefix(v.Name, "CODEBUILD_CONFIG_"):
			problem.Severity = diag.Warning
			problem.Message = fmt.Sprintf("%s begins with CODEBUILD_, which the service keeps for itself", v.Name)
		case strings.ContainsRune(v.Value, 0):
			problem.Message = fmt.Sprintf("the value of %s holds a NUL byte, which no variable can", v.Name)
		default:
			continue
		}
		p.add(problem)
	}
	return all
}

func isName(name string) bool {
	for i, r := range name {
		if r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

func (p *parser) proxy(node *yaml.Node) {
	for _, e := range p.entries(node, "proxy") {
		switch e.name {
		case "upload-artifacts", "logs": // of no meaning on one machine
			p.truth(e.value, "proxy."+e.name)
		default:
			p.unknown(e, "proxy", "proxy", proxyKeys)
		}
	}
}

// maxReports is how many report groups a project may have (documented).
const maxReports = 5

func (p *parser) reports(node *yaml.Node) {
	for _, e := range p.entries(node, "reports") {
		path := "reports." + e.name
		group := ReportGroup{Name: e.name, Format: "JUNITXML", Line: e.key.Line}
		for _, field := range p.entries(e.value, path) {
			p.reportField(&group, field, path)
		}
		if len(group.Files) == 0 {
			p.warn(e.key, path, "report group %s names no files", e.name)
		}
		p.spec.Reports = append(p.spec.Reports, group)
		if len(p.spec.Reports) == maxReports+1 {
			p.warn(e.key, path, "this is the sixth report group; the service takes at most %d", maxReports)
		}
	}
}

func (p *parser) reportField(group *ReportGroup, e entry, path string) {
	field := join(path, e.name)
	switch e.name {
	case "files":
		group.Files = p.list(e.value, field)
	case "base-directory":
		group.BaseDirectory = p.text(e.value, field)
	case "discard-paths":
		group.DiscardPaths = p.truth(e.value, field)
	case "file-format":
		p.format(group, e.value, field)
	default:
		p.unknown(e, "reports", path, reportKeys)
	}
}

func (p *parser) format(group *ReportGroup, node *yaml.Node, path string) {
	written := p.text(node, path)
	for _, f := range Formats {
		if strings.EqualFold(f, written) {
			group.Format = f
			return
		}
	}
	if written != "" {
		p.fail(node, path, "unknown report format %q%s (expected %s)", written, diag.DidYouMean(written, Formats), strings.Join(Formats, ", "))
	}
}

func (p *parser) artifacts(node *yaml.Node, path, section string) Artifacts {
	a := Artifacts{Line: node.Line}
	for _, e := range p.entries(node, path) {
		field := join(path, e.name)
		switch e.name {
		case "files":
			a.Files = p.list(e.value, field)
		case "exclude-paths":
			a.ExcludePaths = p.list(e.value, field)
		case "base-directory":
			a.BaseDirectory = p.text(e.value, field)
		case "name":
			a.Name = p.text(e.value, field)
		case "s3-prefix":
			a.S3Prefix = p.text(e.value, field)
		case "discard-paths":
			a.DiscardPaths = p.truth(e.value, field)
		case "enable-symlinks":
			a.Symlinks = p.truth(e.value, field)
		case "secondary-artifacts":
			a.Secondary = p.secondary(e.value, field)
		case "type": // of 0.1; 0.2 does not know it
			if p.spec.Version != "0.1" {
				p.unknown(e, section, path, artifactKeys)
			}
		default:
			p.unknown(e, section, path, artifactKeys)
		}
	}
	return a
}

func (p *parser) secondary(node *yaml.Node, path string) []Artifacts {
	var all []Artifacts
	for _, e := range p.entries(node, path) {
		if !isIdentifier(e.name) {
			p.fail(e.key, join(path, e.name), "%q cannot identify artifacts; expected letters, digits, _ and -", e.name)
			continue
		}
		a := p.artifacts(e.value, join(path, e.name), e.name)
		a.Identifier, a.Line = e.name, e.key.Line
		all = append(all, a)
	}
	return all
}

// isIdentifier keeps an identifier, which becomes a directory's name, to what
// the service allows (documented: alphanumeric and underscore; a dash is seen).
func isIdentifier(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

func (p *parser) cache(node *yaml.Node) {
	c := &Cache{Line: node.Line}
	p.spec.Cache = c
	for _, e := range p.entries(node, "cache") {
		path := "cache." + e.name
		switch e.name {
		case "paths":
			c.Paths = p.list(e.value, path)
		case "key":
			c.Key = p.text(e.value, path)
		case "fallback-keys":
			c.FallbackKeys = p.list(e.value, path)
		case "action":
			c.Action = p.text(e.value, path)
		default:
			p.unknown(e, "cache", "cache", cacheKeys)
		}
	}
}
