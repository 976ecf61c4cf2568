package secrets_test

import (
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/secrets"
)

func TestParseReference_Documented(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:team/app-AbCdEf"
	for text, want := range map[string]secrets.Reference{
		"app":                   {SecretID: "app"},
		"team/app:password":     {SecretID: "team/app", JSONKey: "password"},
		"app::AWSPREVIOUS":      {SecretID: "app", VersionStage: "AWSPREVIOUS"},
		"app:key::0a1b":         {SecretID: "app", JSONKey: "key", VersionID: "0a1b"},
		"app:":                  {SecretID: "app"},
		arn:                     {SecretID: arn},
		arn + ":key":            {SecretID: arn, JSONKey: "key"},
		arn + "::AWSCURRENT":    {SecretID: arn, VersionStage: "AWSCURRENT"},
		arn + ":key::" + "0a1b": {SecretID: arn, JSONKey: "key", VersionID: "0a1b"},
	} {
		if got, err := secrets.ParseReference(text); err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func TestParseReference_Invalid(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                 "names no secret",
		":key":                             "names no secret",
		"a:b:c:d":                          "a version-stage and a version-id",
		"a:b:c:d:e":                        "has 5 parts",
		"arn:aws:secretsmanager:us-east-1": "is not the ARN of a secret",
		"arn:aws:ssm:us-east-1:123456789012:parameter:a":        "is not the ARN of a secret",
		"arn:aws:secretsmanager:r:1:secret:app-AbCdEf:k:s:i":    "a version-stage and a version-id",
		"arn:aws:secretsmanager:r:1:secret:app-AbCdEf:k:s:i:no": "has 5 parts",
	} {
		if _, err := secrets.ParseReference(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
