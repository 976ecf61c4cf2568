package buildspec

import (
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// top copies the values of the document to the Buildspec and checks those that need
// more than the reference table.
func (p *parser) top(root value) {
	p.version(root)
	p.spec.RunAs = root.textOf("run-as")
	p.env(root)
	if batch, written := root.get("batch"); written && !isNull(batch.node) {
		p.spec.Batch = batchOf(batch)
	}
	if phases, written := root.get("phases"); written {
		p.phases(phases)
	}
	p.reports(root.fieldsOf("reports"))
	if artifacts, written := root.get("artifacts"); written {
		a := artifactsOf(artifacts)
		p.secondary(&a, artifacts)
		p.spec.Artifacts = &a
	}
	if cache, written := root.get("cache"); written {
		p.cache(cache)
	}
	p.required(root)
}

// required reports a missing version or phases. A buildspec with only a batch section
// is valid, even without a version (observed).
func (p *parser) required(root value) {
	phases, written := root.get("phases")
	written = written && !isNull(phases.node)
	if p.spec.Batch != nil && !written {
		return
	}
	if !root.has("version") {
		problem := p.fail(MissingVersion, misspelled(root.node, "version"), "version", "the buildspec has no version")
		problem.Service, problem.Hint = emptyDocument, "add version: 0.2 at the top level"
	}
	if !written {
		node := misspelled(root.node, "phases")
		if phases.key != nil {
			node = phases.key
		}
		problem := p.fail(MissingPhases, node, "phases", "the buildspec has no phases")
		problem.Service = emptyDocument
		problem.Hint = "add phases: with at least one of " + diag.Alternatives(phasesKey.names(""))
	}
}

// misspelled returns the key that is probably a misspelling of a missing one, so that the
// problem points at it. Otherwise it returns the mapping itself.
func misspelled(root *yaml.Node, missing string) *yaml.Node {
	for i := 0; i+1 < len(root.Content); i += 2 {
		if key := root.Content[i]; key.Kind == yaml.ScalarNode && diag.Suggest(key.Value, []string{missing}) != "" &&
			len(key.Value) > 2 {
			return key
		}
	}
	return root
}

// version checks the version. An unknown one is a warning, because CodeBuild reads it
// as 0.2 (observed).
func (p *parser) version(root value) {
	v, written := root.get("version")
	p.spec.Version = strings.TrimSpace(v.text)
	switch {
	case !written, v.node.Kind != yaml.ScalarNode, p.spec.Version == "0.1", p.spec.Version == "0.2":
	case p.spec.Version == "":
		problem := p.fail(MissingVersion, v.key, "version", "version is empty")
		problem.Service, problem.Hint = emptyDocument, "use 0.2"
	default:
		p.warn(UnknownVersion, v.node, "version",
			"unknown version %s is read as 0.2", short(p.spec.Version)).Hint = "use 0.1 or 0.2"
	}
}

// env reads the variables of both versions. environment_variables is unknown in 0.2 and
// does not arrive here.
func (p *parser) env(root value) {
	env, _ := root.get("env")
	e := Env{
		Shell:               env.textOf("shell"),
		Variables:           p.named(env.fieldsOf("variables"), "env.variables"),
		ParameterStore:      p.named(env.fieldsOf("parameter-store"), "env.parameter-store"),
		SecretsManager:      p.named(env.fieldsOf("secrets-manager"), "env.secrets-manager"),
		ExportedVariables:   env.textsOf("exported-variables"),
		GitCredentialHelper: env.truthOf("git-credential-helper"),
	}
	old, _ := root.get("environment_variables")
	e.Variables = append(e.Variables, p.named(old.fieldsOf("plaintext"), "environment_variables.plaintext")...)
	p.spec.Env = e
}

// variablesOf returns the variables of a mapping, in file order.
func variablesOf(fields []field) []Variable {
	var all []Variable
	for _, f := range fields {
		all = append(all, Variable{Name: f.name, Value: f.text, Line: f.key.Line, Column: f.key.Column})
	}
	return all
}

// named returns variables and reports names that cannot be set. CodeBuild's behavior
// for a name that no shell can set is not known; here the variable is left out and the
// build goes on.
func (p *parser) named(fields []field, path string) []Variable {
	all := variablesOf(fields)
	for _, v := range all {
		problem := p.spec.ProblemAt(join(path, v.Name), true, "")
		problem.Name, problem.Severity = VariableName, diag.Warning
		switch {
		case v.Name == "" || strings.ContainsAny(v.Name, "=\x00"):
			problem.Severity, problem.Hint = diag.Error, nameHint
			problem.Message = fmt.Sprintf("invalid variable name %q", v.Name)
		case !isName(v.Name):
			problem.Message = fmt.Sprintf("variable %q is ignored, because the name is not valid in a shell", v.Name)
			problem.Hint = nameHint
		case strings.HasPrefix(v.Name, "CODEBUILD_") && !strings.HasPrefix(v.Name, "CODEBUILD_CONFIG_"):
			problem.Name = ReservedVariable
			problem.Message = fmt.Sprintf("%s: CodeBuild reserves names that begin with CODEBUILD_", v.Name)
		default:
			continue
		}
		p.add(problem)
	}
	for _, v := range all {
		if strings.ContainsRune(v.Value, 0) {
			message := fmt.Sprintf("the value of %s contains a NUL byte, which a variable cannot", v.Name)
			problem := p.spec.ProblemAt(join(path, v.Name), true, message)
			problem.Name = BadValue
			p.add(problem)
		}
	}
	return all
}

const nameHint = "use letters, digits and _, and do not begin with a digit"

// isName reports whether a name is valid for a shell variable: letters, digits and _,
// not beginning with a digit.
func isName(name string) bool {
	for i, r := range name {
		if r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// Documented quotas of CodeBuild.
const (
	maxReports   = 5
	maxSecondary = 12
	maxFallbacks = 5
)

// reports reads the report groups. Groups beyond the quota are kept: the warning is
// enough in a local build.
func (p *parser) reports(groups []field) {
	for _, g := range groups {
		path := "reports." + g.name
		group := ReportGroup{
			Name: g.name, Files: g.textsOf("files"), BaseDirectory: g.textOf("base-directory"),
			DiscardPaths: g.truthOf("discard-paths"), Format: strings.ToUpper(g.textOf("file-format")), Line: g.key.Line,
		}
		if group.Format == "" {
			group.Format = "JUNITXML"
		}
		if p.noFiles(g.value) {
			p.warn(NoFiles, g.key, path, "report group %s has no files", g.name).Hint = filesHint
		}
		p.spec.Reports = append(p.spec.Reports, group)
		if len(p.spec.Reports) == maxReports+1 {
			p.warn(TooMany, g.key, path, "this is the sixth report group; the maximum is %d", maxReports)
		}
	}
}

const filesHint = "add files: with a list of paths or patterns"

// noFiles reports whether a section has no files. A section with a wrong type has a
// problem of its own and does not count.
func (p *parser) noFiles(v value) bool {
	files, written := v.get("files")
	return (!written || isNull(files.node) || len(files.node.Content) == 0 && files.node.Kind == yaml.SequenceNode) &&
		(v.node.Kind == yaml.MappingNode || isNull(v.node))
}

func artifactsOf(v value) Artifacts {
	return Artifacts{
		Files: v.textsOf("files"), ExcludePaths: v.textsOf("exclude-paths"), BaseDirectory: v.textOf("base-directory"),
		Name: v.textOf("name"), S3Prefix: v.textOf("s3-prefix"), DiscardPaths: v.truthOf("discard-paths"),
		Symlinks: v.truthOf("enable-symlinks"), Line: v.line(),
	}
}

// secondary reads secondary-artifacts and warns about artifacts without files.
func (p *parser) secondary(a *Artifacts, artifacts value) {
	for _, f := range artifacts.fieldsOf("secondary-artifacts") {
		path := "artifacts.secondary-artifacts." + f.name
		if !isIdentifier(f.name) {
			p.fail(BadIdentifier, f.key, path, "invalid artifact identifier %q", f.name).
				Hint = "use letters, digits, _ and -"
			continue
		}
		next := artifactsOf(f.value)
		next.Identifier, next.Line = f.name, f.key.Line
		if p.noFiles(f.value) {
			p.warn(NoFiles, f.key, path, "secondary artifacts %s have no files", f.name).Hint = filesHint
		}
		a.Secondary = append(a.Secondary, next)
		if len(a.Secondary) == maxSecondary+1 {
			p.warn(TooMany, f.key, path, "these are the 13th secondary artifacts; the maximum is %d", maxSecondary)
		}
	}
	if p.noFiles(artifacts) && !artifacts.has("secondary-artifacts") {
		p.warn(NoFiles, artifacts.key, "artifacts", "artifacts has no files").Hint = filesHint
	}
}

// isIdentifier reports whether an identifier is valid. It becomes the name of a
// directory, so nothing else is accepted. Documented: alphanumeric characters and
// underscores; a dash is observed to work.
func isIdentifier(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// cache reads the section cache.
func (p *parser) cache(v value) {
	c := &Cache{
		Paths: v.textsOf("paths"), Key: v.textOf("key"), FallbackKeys: v.textsOf("fallback-keys"),
		Action: v.textOf("action"), Line: v.line(),
	}
	p.spec.Cache = c
	fallback, written := v.get("fallback-keys")
	if !written || len(c.FallbackKeys) == 0 {
		return
	}
	if c.Key == "" {
		p.warn(IgnoredKey, fallback.key, "cache.fallback-keys",
			"fallback-keys has no effect without key and is ignored").Hint = "add key: or remove fallback-keys"
	}
	if len(c.FallbackKeys) > maxFallbacks {
		p.warn(TooMany, fallback.key, "cache.fallback-keys",
			"%d fallback-keys; the maximum is %d", len(c.FallbackKeys), maxFallbacks)
	}
}

// batchOf reads the section batch. Package lint checks its contents.
func batchOf(v value) *Batch {
	b := &Batch{FastFail: v.truthOf("fast-fail"), Graph: tasksOf(v, "build-graph"), List: tasksOf(v, "build-list")}
	for _, kind := range []string{"build-graph", "build-list", "build-matrix", "build-fanout"} {
		if v.has(kind) {
			b.Kinds = append(b.Kinds, kind)
		}
	}
	if m, written := v.get("build-matrix"); written {
		b.Matrix = matrixOf(m)
	}
	if f, written := v.get("build-fanout"); written {
		count, _ := strconv.Atoi(strings.TrimSpace(f.textOf("parallelism")))
		b.Fanout = &Fanout{Parallelism: count, IgnoreFailure: f.truthOf("ignore-failure")}
	}
	return b
}

func tasksOf(v value, kind string) []Task {
	var all []Task
	for i, item := range v.itemsOf(kind) {
		env, _ := item.get("env")
		all = append(all, Task{
			Identifier: item.textOf("identifier"), Buildspec: item.textOf("buildspec"), DependOn: item.textsOf("depend-on"),
			DebugSession: item.truthOf("debug-session"), IgnoreFailure: item.truthOf("ignore-failure"),
			Env: taskEnvOf(env), Path: fmt.Sprintf("batch.%s[%d]", kind, i),
		})
	}
	return all
}

func taskEnvOf(v value) TaskEnv {
	return TaskEnv{
		ComputeType: v.textOf("compute-type"), Fleet: v.textOf("fleet"), Image: v.textOf("image"),
		Privileged: v.truthOf("privileged-mode"), Type: v.textOf("type"), Variables: variablesOf(v.fieldsOf("variables")),
	}
}

func matrixOf(v value) *Matrix {
	static, _ := v.get("static")
	env, _ := static.get("env")
	dynamic, _ := v.get("dynamic")
	varied, _ := dynamic.get("env")
	m := &Matrix{
		IgnoreFailure: static.truthOf("ignore-failure"), Static: taskEnvOf(env), Buildspecs: dynamic.textsOf("buildspec"),
		ComputeTypes: varied.textsOf("compute-type"), Images: varied.textsOf("image"),
	}
	for _, f := range varied.fieldsOf("variables") {
		m.Variables = append(m.Variables, Axis{Name: f.name, Values: f.texts()})
	}
	return m
}
