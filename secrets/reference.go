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
