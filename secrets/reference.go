package secrets

import (
	"fmt"
	"strings"
)

// Reference names a value in Secrets Manager:
// secret-id:json-key:version-stage:version-id, of which all but the first may be
// left out or empty.
type Reference struct {
	SecretID     string // a name or an ARN
	JSONKey      string // empty for the whole SecretString
	VersionStage string // empty for AWSCURRENT, or where VersionID is given
	VersionID    string
}

// arnParts is how many parts between colons the ARN of a secret has:
// arn:partition:secretsmanager:region:account:secret:name-suffix.
const arnParts = 7

// ParseReference reads a reference as the service documents it for buildspecs
// and for variables of type SECRETS_MANAGER. An ARN is split off first. The
// error says what is wrong with the text, which it names.
func ParseReference(text string) (Reference, error) {
	parts := strings.Split(text, ":")
	if strings.HasPrefix(text, "arn:") {
		if len(parts) < arnParts || parts[2] != "secretsmanager" || parts[5] != "secret" {
			return Reference{}, fmt.Errorf("%q begins with arn: and is no ARN of a secret; expected arn:aws:secretsmanager:region:account:secret:name", text)
		}
		parts = append([]string{strings.Join(parts[:arnParts], ":")}, parts[arnParts:]...)
	}
	if len(parts) > 4 {
		return Reference{}, fmt.Errorf("%q has %d parts; expected secret-id:json-key:version-stage:version-id", text, len(parts))
	}
	parts = append(parts, "", "", "")
	r := Reference{SecretID: parts[0], JSONKey: parts[1], VersionStage: parts[2], VersionID: parts[3]}
	switch {
	case r.SecretID == "":
		return Reference{}, fmt.Errorf("%q names no secret; expected secret-id:json-key:version-stage:version-id", text)
	case r.VersionStage != "" && r.VersionID != "":
		return Reference{}, fmt.Errorf("%q has a version-stage and a version-id; expected one of them, as in %s:%s:%s", text, r.SecretID, r.JSONKey, r.VersionStage)
	}
	return r, nil
}

// current is the staging label that is meant where none is given (documented).
func (r Reference) current() string {
	if r.VersionStage == "" && r.VersionID == "" {
		return "AWSCURRENT"
	}
	return r.VersionStage
}

// sameSecret reports whether two names of secrets are one's: names, or ARNs, in
// which six random characters may follow the name (documented).
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

// sameParameter reports whether two names of parameters are one's. In an ARN the
// slash a name begins with is the one behind the word parameter (documented).
func sameParameter(a, b string) bool {
	if isARN(b) {
		a, b = b, a
	}
	_, name, found := strings.Cut(a, ":parameter/")
	return a == b || isARN(a) && !isARN(b) && found && (name == b || "/"+name == b)
}

func isARN(name string) bool { return strings.HasPrefix(name, "arn:") }

// suffix is a hyphen and the six characters that Secrets Manager puts behind a name.
const suffix = 7

func withoutSuffix(name string) string {
	if at := len(name) - suffix; at > 0 && name[at] == '-' {
		return name[:at]
	}
	return name
}
