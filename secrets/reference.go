package secrets

import (
	"fmt"
	"strings"
)

// Reference names a value in Secrets Manager. Its text form is
// secret-id:json-key:version-stage:version-id; all parts after the first are optional
// and may be empty.
type Reference struct {
	SecretID     string // a name or an ARN
	JSONKey      string // empty for the whole SecretString
	VersionStage string // empty for AWSCURRENT, or if VersionID is set
	VersionID    string
}

const (
	// arnParts is the number of parts between colons in the ARN of a secret:
	// arn:partition:secretsmanager:region:account:secret:name-suffix.
	arnParts = 7
	// maxReferenceParts is the number of parts of a reference.
	maxReferenceParts = 4

	referenceForm = "secret-id:json-key:version-stage:version-id"
	arnForm       = "arn:aws:secretsmanager:region:account:secret:name"
)

// ParseReference parses a reference as documented for buildspecs and for variables of
// type SECRETS_MANAGER. An ARN contains colons, so it is split off before the other
// parts. The error quotes text and names the expected form.
func ParseReference(text string) (Reference, error) {
	parts := strings.Split(text, ":")
	if isARN(text) {
		if len(parts) < arnParts || parts[2] != "secretsmanager" || parts[5] != "secret" {
			return Reference{}, fmt.Errorf("%q is not the ARN of a secret; expected %s", text, arnForm)
		}
		parts = append([]string{strings.Join(parts[:arnParts], ":")}, parts[arnParts:]...)
	}
	if len(parts) > maxReferenceParts {
		return Reference{}, fmt.Errorf("%q has %d parts; expected %s", text, len(parts), referenceForm)
	}
	parts = append(parts, "", "", "")
	r := Reference{SecretID: parts[0], JSONKey: parts[1], VersionStage: parts[2], VersionID: parts[3]}
	switch {
	case r.SecretID == "":
		return Reference{}, fmt.Errorf("%q names no secret; expected %s", text, referenceForm)
	case r.VersionStage != "" && r.VersionID != "":
		return Reference{}, fmt.Errorf("%q has a version-stage and a version-id; expected one of them, as in %s:%s:%s",
			text, r.SecretID, r.JSONKey, r.VersionStage)
	}
	return r, nil
}

// stage returns the staging label: AWSCURRENT if no version is given (documented), and
// "" if a version ID is.
func (r Reference) stage() string {
	if r.VersionStage == "" && r.VersionID == "" {
		return "AWSCURRENT"
	}
	return r.VersionStage
}

// sameSecret reports whether two names or ARNs identify the same secret. Secrets Manager
// appends a hyphen and six random characters to the name in an ARN (documented), and
// accepts the ARN without them.
func sameSecret(a, b string) bool {
	switch {
	case a == b:
		return true
	case isARN(a) && isARN(b):
		return withoutSuffix(a) == b || withoutSuffix(b) == a
	case isARN(b):
		a, b = b, a
	case !isARN(a):
		return false
	}
	name := strings.SplitN(a, ":", arnParts)[arnParts-1]
	return name == b || withoutSuffix(name) == b
}

// sameParameter reports whether two names or ARNs identify the same parameter. An ARN
// has a single slash after the word parameter, even if the name begins with a slash
// (documented).
func sameParameter(a, b string) bool {
	if isARN(b) {
		a, b = b, a
	}
	_, name, found := strings.Cut(a, ":parameter/")
	return a == b || isARN(a) && !isARN(b) && found && (name == b || "/"+name == b)
}

func isARN(name string) bool { return strings.HasPrefix(name, "arn:") }

// suffixLength counts the hyphen and the six characters that Secrets Manager appends.
const suffixLength = 7

func withoutSuffix(name string) string {
	if at := len(name) - suffixLength; at > 0 && name[at] == '-' {
		return name[:at]
	}
	return name
}
