package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/secrets"
)

var secretChecks = []check{
	{diag.Check{Name: "secret-reference", Severity: diag.Error, Softer: true,
		Summary: "A reference to Secrets Manager must be secret-id:json-key:version-stage:version-id."},
		(*checker).secretReferences},
	{diag.Check{Name: "exported-secret", Severity: diag.Warning,
		Summary: "Secrets, and variables whose names begin with AWS_, are not exported."}, (*checker).exportedSecrets},
	{diag.Check{Name: "plaintext-credential", Severity: diag.Lint,
		Summary: "The buildspec contains a credential in plain text."}, (*checker).plaintextCredentials},
}

var projectChecks = []check{
	{diag.Check{Name: "unknown-artifacts", Severity: diag.Warning,
		Summary: "The secondary artifacts of the buildspec and of the project differ."}, (*checker).secondaryArtifacts},
	{diag.Check{Name: "ignored-name", Severity: diag.Lint,
		Summary: "The project does not let the buildspec name its artifacts."}, (*checker).ignoredName},
	{diag.Check{Name: "no-artifacts", Severity: diag.Lint,
		Summary: "The project expects artifacts, but the buildspec has none."}, (*checker).noArtifacts},
	{diag.Check{Name: diag.NotPrivileged, Severity: diag.Lint,
		Summary: "Docker in a build requires privileged mode."}, (*checker).notPrivileged},
}

// secretReferences checks the syntax of references to Secrets Manager and Parameter Store.
func (c *checker) secretReferences() {
	for _, v := range c.Spec.Env.SecretsManager {
		_, err := secrets.ParseReference(v.Value)
		if err == nil {
			continue
		}
		p := c.say(c.Spec.ProblemAt("env.secrets-manager."+v.Name, v.Value == "", ""), err.Error())
		if strings.HasPrefix(v.Value, "arn:") || strings.Contains(v.Value, "$") {
			p.Severity = diag.Warning // an ARN may be a placeholder that is filled in before the build
		}
	}
	for _, v := range c.Spec.Env.ParameterStore {
		if v.Value == "" {
			c.say(c.Spec.ProblemAt("env.parameter-store."+v.Name, true, ""),
				v.Name+" has no parameter").Hint = "add the name of a parameter in Parameter Store"
		}
	}
}

// exportedSecrets reports exported variables that CodeBuild does not export (documented).
func (c *checker) exportedSecrets() {
	kept := map[string]string{}
	for _, v := range c.Spec.Env.ParameterStore {
		kept[v.Name] = "comes from Parameter Store"
	}
	for _, v := range c.Spec.Env.SecretsManager {
		kept[v.Name] = "comes from Secrets Manager"
	}
	for i, name := range c.Spec.Env.ExportedVariables {
		// AWS_ is checked last, as its message applies to secrets too.
		why := kept[name]
		if strings.HasPrefix(name, "AWS_") {
			why = "begins with AWS_"
		}
		if why != "" {
			p := c.Spec.ProblemAt(fmt.Sprintf("env.exported-variables[%d]", i), false, "")
			c.say(p, fmt.Sprintf("%s %s and is not exported", name, why)).Hint = "copy it to another variable in a command"
		}
	}
}

// credential matches a text that can only be a credential: an AWS access key, a token of
// GitHub, GitLab, Slack, npm, Stripe or Google, or a private key. The formats are those that the
// issuers publish for secret scanners. Each has a prefix and a length that no ordinary text has.
var credential = lazy(`\b((AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,}|` +
	`glpat-[A-Za-z0-9_-]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|npm_[A-Za-z0-9]{36}|sk_live_[A-Za-z0-9]{20,}|` +
	`AIza[A-Za-z0-9_-]{35})\b|-----BEGIN [A-Z ]*PRIVATE KEY-----`)

// secretName matches the usual names of variables with secrets. placeholder matches values
// that are not secrets although the name suggests it: an example, the name of a secret, a
// path or a URL. addressed matches a password in a URL.
var (
	secretName = lazy(`(?i)(password|passwd|passphrase|secret|secret_?key|secret_access_key|api_?key|private_?key|` +
		`token|_pwd|_pass|_pat)$`)
	placeholder = lazy(`(?i:test|example|sample|dummy|fake|mock|local|demo|change|placeholder|your|xxx|\.\.\.|` +
		`\*\*\*|postgres|mysql|password|^[<{%\[]|^(arn|https?|s3|ssm):|^/|^[0-9a-f]{8}-)|` +
		`^[a-z0-9]+([-_./][a-z0-9]+)+$|^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$`)
	addressed = lazy(`[a-z]+://[^/\s:@$]+:([^/\s@$:]{6,})@`)
)

// Lengths in bytes below which nothing is a secret. The shortest credential is a password in a
// URL, x://u:secret@.
const (
	minSecret     = 8
	minCredential = 13
)

// secretive reports whether a value looks like a secret rather than like a word. It must have at
// least three of lower case, upper case, digits and punctuation, or be a long hexadecimal number.
// The test with public buildspecs guards its threshold against false positives.
func secretive(value string) bool {
	kinds := 0
	for _, kind := range []string{"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789",
		"!#%&*+=?@^~-_/"} {
		if strings.ContainsAny(value, kind) {
			kinds++
		}
	}
	hex := len(value) >= 20 && strings.Trim(value, "0123456789abcdef") == "" &&
		strings.ContainsAny(value, "0123456789") && strings.ContainsAny(value, "abcdef")
	return len(value) >= minSecret && (kinds >= 3 || hex) && !placeholder().MatchString(value) &&
		!expands().MatchString(value) && !strings.ContainsAny(value, " \n")
}

// isCredential reports whether the value of a variable is a credential.
func isCredential(name, value string) bool {
	return findCredential(value) != "" || len(value) >= minSecret && secretName().MatchString(name) && secretive(value)
}

// findCredential returns the part of a text that is a credential, whatever its context.
func findCredential(text string) string {
	// Most values are shorter, and compiling the expressions takes longer than all other checks.
	if len(text) < minCredential {
		return ""
	}
	if found := credential().FindString(text); found != "" {
		return found
	}
	// A URL such as postgres://user:password@localhost is an example, and the placeholder matches it.
	if m := addressed().FindStringSubmatch(text); m != nil && !placeholder().MatchString(m[1]) {
		return m[1]
	}
	return ""
}

// WithoutCredentials returns a text with a star for each character of a credential in it.
func WithoutCredentials(text string) string {
	found := findCredential(text)
	if found == "" {
		return text
	}
	return strings.ReplaceAll(text, found, strings.Repeat("*", len([]rune(found))))
}

const credentialHint = "store it in Secrets Manager or Parameter Store, " +
	"and add its name to secrets-manager or parameter-store"

// plaintextCredentials reports credentials in variables and in commands.
func (c *checker) plaintextCredentials() {
	for _, v := range c.variables() {
		if isCredential(v.Name, v.Value) {
			c.hide(c.Spec.ProblemAt(v.path, false, ""), v.Value, v.Name+" is a credential in plain text")
		}
	}
	for _, s := range c.scripts {
		for i, line := range strings.Split(s.Text, "\n") {
			// The search is line by line, because the problem marks a range of one line.
			if found := findCredential(line); found != "" {
				at := strings.Index(line, found)
				p := c.Spec.Problem(s.Command, i+1, len([]rune(line[:at]))+1, len([]rune(found)))
				c.hide(p, found, "the command contains a credential in plain text")
			}
		}
		c.assignedCredentials(s)
	}
}

// assignedCredentials reports credentials in assignments of a script.
func (c *checker) assignedCredentials(s *script) {
	s.walk(func(n syntax.Node) bool {
		a, ok := n.(*syntax.Assign)
		if !ok || a.Name == nil || a.Value == nil {
			return true
		}
		// A value that is recognized by its form alone was already found in the text of the script.
		if value := literal(a.Value); isCredential(a.Name.Value, value) && findCredential(value) == "" {
			c.hide(c.node(s, a.Value), value, a.Name.Value+" is a credential in plain text")
		}
		return true
	})
}

// hide reports a problem with a credential and registers the credential for masking.
func (c *checker) hide(p diag.Problem, secret, message string) {
	// A private key has several lines, each of which may be in an excerpt.
	c.secrets = append(c.secrets, strings.Split(secret, "\n")...)
	c.say(p, message).Hint = credentialHint
}

// masked replaces the credentials in the texts of all problems. It writes one star for
// each character, so that columns stay correct. It removes a fix that contains a credential.
func (c *checker) masked(problems diag.List) diag.List {
	for i := range problems {
		p := &problems[i]
		for _, secret := range c.secrets {
			const minMasked = 4 // shorter lines of a secret with several lines occur anywhere
			if len(secret) < minMasked {
				continue
			}
			stars := strings.Repeat("*", len([]rune(secret)))
			for _, text := range []*string{&p.Excerpt, &p.Message, &p.Hint, &p.Service} {
				*text = strings.ReplaceAll(*text, secret, stars)
			}
			// A fix would write the credential to the terminal as part of a diff.
			shows := func(e diag.Edit) bool { return strings.Contains(e.Old+e.Text, secret) }
			if p.Fix != nil && slices.ContainsFunc(p.Fix.Edits, shows) {
				p.Fix = nil
			}
		}
	}
	return problems
}

// placed is a variable with its key path.
type placed struct {
	buildspec.Variable
	path string
}

// variables returns the literal variables of the buildspec and of its batch.
func (c *checker) variables() []placed {
	var all []placed
	// Version 0.1 has them in environment_variables (documented).
	section := "env.variables."
	if c.Spec.Version == "0.1" {
		section = "environment_variables.plaintext."
	}
	for _, v := range c.Spec.Env.Variables {
		all = append(all, placed{v, section + v.Name})
	}
	for _, t := range tasks(c.Spec.Batch) {
		for _, v := range t.Env.Variables {
			all = append(all, placed{v, t.Path + ".env.variables." + v.Name})
		}
	}
	return all
}

// secondaryArtifacts compares the identifiers of the buildspec with those of the project.
// They must be the same (documented), except in a pipeline, which names them itself.
func (c *checker) secondaryArtifacts() {
	if c.Project == nil || c.Spec.Artifacts == nil || c.Project.Artifacts.Type == "CODEPIPELINE" {
		return
	}
	var known, written []string
	for _, a := range c.Project.SecondaryArtifacts {
		known = append(known, a.Identifier)
	}
	for _, a := range c.Spec.Artifacts.Secondary {
		written = append(written, a.Identifier)
		if !slices.Contains(known, a.Identifier) {
			names := cmp.Or(strings.Join(known, ", "), "no secondary artifacts")
			c.say(c.Spec.ProblemAt("artifacts.secondary-artifacts."+a.Identifier, true, ""),
				"the project has no secondary artifacts "+a.Identifier).
				Hint = cmp.Or(diag.Question(a.Identifier, known), c.ProjectFile+" has "+names)
		}
	}
	// The reverse case: an identifier that is only in the project.
	for _, name := range known {
		if !slices.Contains(written, name) {
			c.say(c.Spec.ProblemAt("artifacts", true, ""),
				fmt.Sprintf("the project's secondary artifacts %s are not in the buildspec", name)).
				Hint = fmt.Sprintf("add %s: to secondary-artifacts", name)
		}
	}
}

// ignoredName reports an artifact name that the project does not allow.
func (c *checker) ignoredName() {
	if c.Project == nil || c.Spec.Artifacts == nil || c.Spec.Artifacts.Name == "" ||
		c.Project.Artifacts.Type != "S3" || c.Project.Artifacts.OverrideName {
		return
	}
	c.say(c.Spec.ProblemAt("artifacts.name", true, ""),
		"name is ignored, because the project does not set overrideArtifactName").Hint = "set it there, or remove name"
}

// noArtifacts reports a buildspec without artifacts for a project that uploads them to S3.
// Observed: the phase UPLOAD_ARTIFACTS fails.
func (c *checker) noArtifacts() {
	if c.Project == nil || c.Project.Artifacts.Type != "S3" || c.Spec.Artifacts != nil || len(c.Spec.Phases) == 0 {
		return
	}
	c.say(c.Spec.ProblemAt("phases", true, ""), "the buildspec has no artifacts, but the project uploads them to S3: "+
		"UPLOAD_ARTIFACTS will fail").Hint = "add artifacts: with files:"
}

// notPrivileged reports the first use of docker in a build that is not privileged. Without a
// project that is the default. A script that starts dockerd or sets DOCKER_HOST is exempt.
func (c *checker) notPrivileged() {
	if c.Privileged || c.Project != nil && project.HasDocker(c.Project.Environment.Type) {
		return
	}
	for _, s := range c.scripts {
		if strings.Contains(s.Text, "dockerd") || strings.Contains(s.Text, "DOCKER_HOST") {
			return
		}
	}
	for _, s := range c.scripts {
		said := false
		s.calls(func(call *syntax.CallExpr, words []string) {
			if said || !usesEngine(unwrapped(words)) {
				return
			}
			said = true
			c.say(c.node(s, call), "docker requires privileged mode").
				Hint = "set privilegedMode: true in the project, or use --privileged"
		})
		if said {
			return
		}
	}
}

// usesEngine reports whether a command needs a Docker engine. Signing in to a registry and
// printing the version do not.
func usesEngine(words []string) bool {
	if len(words) == 0 {
		return false
	}
	if words[0] == "docker-compose" {
		return true
	}
	// docker without arguments prints its help.
	if words[0] != "docker" || len(words) < 2 {
		return false
	}
	switch words[1] {
	case "login", "logout", "--version", "-v", "version", "help", "--help", "manifest", "context", "":
		return false
	}
	return true
}
