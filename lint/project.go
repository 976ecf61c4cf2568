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
	{diag.Check{Name: "secret-reference", Severity: diag.Error, Softer: true, Summary: "A reference to Secrets Manager is secret-id:json-key:version-stage:version-id."}, (*checker).secretReferences},
	{diag.Check{Name: "exported-secret", Severity: diag.Warning, Summary: "Secrets, and names that begin with AWS_, are not exported."}, (*checker).exportedSecrets},
	{diag.Check{Name: "plaintext-credential", Severity: diag.Lint, Summary: "A credential stands in the buildspec for everybody to read."}, (*checker).plaintextCredentials},
}

var projectChecks = []check{
	{diag.Check{Name: "unknown-artifacts", Severity: diag.Warning, Summary: "Secondary artifacts that the project does not have, or the other way round."}, (*checker).secondaryArtifacts},
	{diag.Check{Name: "ignored-name", Severity: diag.Lint, Summary: "The project does not let the buildspec name its artifacts."}, (*checker).ignoredName},
	{diag.Check{Name: "no-artifacts", Severity: diag.Lint, Summary: "The project wants artifacts, and the buildspec has none."}, (*checker).noArtifacts},
	{diag.Check{Name: "not-privileged", Severity: diag.Lint, Summary: "Docker in a build needs privileged mode."}, (*checker).notPrivileged},
}

func (c *checker) secretReferences() {
	for _, v := range c.Spec.Env.SecretsManager {
		_, err := secrets.ParseReference(v.Value)
		if err == nil {
			continue
		}
		p := c.say(c.Spec.ProblemAt("env.secrets-manager."+v.Name, v.Value == "", ""), err.Error())
		if strings.HasPrefix(v.Value, "arn:") || strings.Contains(v.Value, "$") {
			p.Severity = diag.Warning // what stands in for an ARN is replaced before the build
		}
	}
	for _, v := range c.Spec.Env.ParameterStore {
		if v.Value == "" {
			c.say(c.Spec.ProblemAt("env.parameter-store."+v.Name, true, ""), v.Name+" names no parameter; expected the name of one in Parameter Store")
		}
	}
}

func (c *checker) exportedSecrets() {
	kept := map[string]string{}
	for _, v := range c.Spec.Env.ParameterStore {
		kept[v.Name] = "comes from Parameter Store"
	}
	for _, v := range c.Spec.Env.SecretsManager {
		kept[v.Name] = "comes from Secrets Manager"
	}
	for i, name := range c.Spec.Env.ExportedVariables {
		why := kept[name]
		if strings.HasPrefix(name, "AWS_") {
			why = "begins with AWS_"
		}
		if why != "" {
			p := c.Spec.ProblemAt(fmt.Sprintf("env.exported-variables[%d]", i), false, "")
			c.say(p, fmt.Sprintf("%s %s and is not exported; expected another name, set by a command", name, why))
		}
	}
}

// credential is a text that can be nothing but a credential: an access key of
// AWS, tokens of GitHub, GitLab, Slack, npm, Stripe and Google, a private key, a
// password in a URL.
var credential = lazy(`\b((AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,}|glpat-[A-Za-z0-9_-]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|npm_[A-Za-z0-9]{36}|sk_live_[A-Za-z0-9]{20,}|AIza[A-Za-z0-9_-]{35})\b|-----BEGIN [A-Z ]*PRIVATE KEY-----`)

// secretName is how variables are named that hold secrets, and placeholder what
// stands there instead of one: a word that says so, a name of a secret, a path,
// an address.
var (
	secretName  = lazy(`(?i)(password|passwd|passphrase|secret|secret_?key|secret_access_key|api_?key|private_?key|token|_pwd|_pass|_pat)$`)
	placeholder = lazy(`(?i:test|example|sample|dummy|fake|mock|local|demo|change|placeholder|your|xxx|\.\.\.|\*\*\*|postgres|mysql|password|^[<{%\[]|^(arn|https?|s3|ssm):|^/|^[0-9a-f]{8}-)|^[a-z0-9]+([-_./][a-z0-9]+)+$|^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$`)
	addressed   = lazy(`[a-z]+://[^/\s:@$]+:([^/\s@$:]{6,})@`)
)

// secretive reports whether a value looks like a secret rather than like a word:
// letters of both cases, digits and signs, three of these at least, or a long
// number in hexadecimal.
func secretive(value string) bool {
	kinds := 0
	for _, kind := range []string{"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", "!#%&*+=?@^~-_/"} {
		if strings.ContainsAny(value, kind) {
			kinds++
		}
	}
	hex := len(value) >= 20 && strings.Trim(value, "0123456789abcdef") == "" && strings.ContainsAny(value, "0123456789") && strings.ContainsAny(value, "abcdef")
	return len(value) >= 8 && (kinds >= 3 || hex) && !placeholder().MatchString(value) && !expands().MatchString(value) && !strings.ContainsAny(value, " \n")
}

func isCredential(name, value string) bool {
	return findCredential(value) != "" || secretName().MatchString(name) && secretive(value)
}

// findCredential returns the piece of a text that is a credential in any place.
func findCredential(text string) string {
	if found := credential().FindString(text); found != "" {
		return found
	}
	if m := addressed().FindStringSubmatch(text); m != nil && !placeholder().MatchString(m[1]) {
		return m[1]
	}
	return ""
}

const wayWithSecrets = "; expected it in Secrets Manager or Parameter Store, and its name in secrets-manager or parameter-store"

func (c *checker) plaintextCredentials() {
	for _, v := range c.variables() {
		if isCredential(v.Name, v.Value) {
			c.hide(c.Spec.ProblemAt(v.path, false, ""), v.Value, v.Name+" is a credential for everybody to read"+wayWithSecrets)
		}
	}
	for _, s := range c.scripts {
		for i, line := range strings.Split(s.Text, "\n") {
			if found := findCredential(line); found != "" {
				at := strings.Index(line, found)
				p := c.Spec.Problem(s.Command, i+1, len([]rune(line[:at]))+1, len([]rune(found)))
				c.hide(p, found, "the command holds a credential for everybody to read"+wayWithSecrets)
			}
		}
		c.assignedCredentials(s)
	}
}

// assignedCredentials looks at variables that commands set.
func (c *checker) assignedCredentials(s *script) {
	s.walk(func(n syntax.Node) bool {
		a, ok := n.(*syntax.Assign)
		if !ok || a.Name == nil || a.Value == nil {
			return true
		}
		if value := literal(a.Value); isCredential(a.Name.Value, value) && findCredential(value) == "" {
			c.hide(c.node(s, a.Value), value, a.Name.Value+" is a credential for everybody to read"+wayWithSecrets)
		}
		return true
	})
}

// hide notes a problem with a credential, and that it is not to be shown.
func (c *checker) hide(p diag.Problem, secret, message string) {
	c.secrets = append(c.secrets, strings.Split(secret, "\n")...)
	c.say(p, message)
}

// masked hides the credentials that were found wherever a problem shows them.
// Each character becomes a star, so that places stay true.
func (c *checker) masked(problems diag.List) diag.List {
	for i := range problems {
		p := &problems[i]
		for _, secret := range c.secrets {
			if len(secret) < 4 { // a line of one that has several
				continue
			}
			stars := strings.Repeat("*", len([]rune(secret)))
			for _, text := range []*string{&p.Excerpt, &p.Message, &p.Service} {
				*text = strings.ReplaceAll(*text, secret, stars)
			}
			if p.Fix != nil && slices.ContainsFunc(p.Fix.Edits, func(e diag.Edit) bool { return strings.Contains(e.Old+e.Text, secret) }) {
				p.Fix = nil
			}
		}
	}
	return problems
}

// placed is a variable with its place.
type placed struct {
	buildspec.Variable
	path string
}

func (c *checker) variables() []placed {
	var all []placed
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

// secondaryArtifacts compares identifiers: they must match (documented).
func (c *checker) secondaryArtifacts() {
	if c.Project == nil || c.Spec.Artifacts == nil || c.Project.Artifacts.Type == "CODEPIPELINE" { // there the pipeline names them
		return
	}
	var known, written []string
	for _, a := range c.Project.SecondaryArtifacts {
		known = append(known, a.Identifier)
	}
	for _, a := range c.Spec.Artifacts.Secondary {
		written = append(written, a.Identifier)
		if !slices.Contains(known, a.Identifier) {
			c.say(c.Spec.ProblemAt("artifacts.secondary-artifacts."+a.Identifier, true, ""),
				fmt.Sprintf("the project has no secondary artifacts %s%s (%s has %s)", a.Identifier, diag.DidYouMean(a.Identifier, known), c.ProjectFile, cmp.Or(strings.Join(known, ", "), "none")))
		}
	}
	for _, name := range known {
		if !slices.Contains(written, name) {
			c.say(c.Spec.ProblemAt("artifacts", true, ""),
				fmt.Sprintf("the project's secondary artifacts %s are not in the buildspec; expected secondary-artifacts: with %s:", name, name))
		}
	}
}

func (c *checker) ignoredName() {
	if c.Project == nil || c.Spec.Artifacts == nil || c.Project.Artifacts.Type != "S3" || c.Project.Artifacts.OverrideName || c.Spec.Artifacts.Name == "" {
		return
	}
	c.say(c.Spec.ProblemAt("artifacts.name", true, ""), "name is ignored: the project does not set overrideArtifactName; expected that, or no name")
}

func (c *checker) noArtifacts() {
	if c.Project == nil || c.Project.Artifacts.Type != "S3" || c.Spec.Artifacts != nil || len(c.Spec.Phases) == 0 {
		return
	}
	c.say(c.Spec.ProblemAt("phases", true, ""), "the project's artifacts go to S3, and the buildspec has none: UPLOAD_ARTIFACTS fails; expected artifacts: with files:")
}

// notPrivileged looks for docker where it is known that the build may not.
func (c *checker) notPrivileged() {
	if c.Privileged || c.Project == nil && !c.Run || c.Project != nil && project.HasDocker(c.Project.Environment.Type) {
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
			c.say(c.node(s, call), "docker needs privileged mode, which the build does not have; expected privilegedMode: true in the project, or --privileged")
		})
		if said {
			return
		}
	}
}

// usesEngine: signing in and asking for the version need no engine.
func usesEngine(words []string) bool {
	if len(words) == 0 {
		return false
	}
	if words[0] == "docker-compose" {
		return true
	}
	if words[0] != "docker" || len(words) < 2 {
		return false
	}
	switch words[1] {
	case "login", "logout", "--version", "-v", "version", "help", "--help", "manifest", "context", "":
		return false
	}
	return true
}
