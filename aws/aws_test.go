package aws_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/aws"
	"github.com/buildlocal/buildlocal/aws/awstest"
	"github.com/buildlocal/buildlocal/secrets"
)

// shell makes the environment that of a shell with the given configuration of the
// AWS tools, against a fake AWS server.
func shell(t *testing.T, config string) *awstest.Server {
	t.Helper()
	s := awstest.New(t)
	home := t.TempDir()
	for _, name := range os.Environ() {
		if name, _, _ := strings.Cut(name, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "") // as it was, when the test ends
			os.Unsetenv(name)
		}
	}
	for name, value := range map[string]string{
		"HOME": home, "AWS_ENDPOINT_URL": s.URL,
		// The SDK does not take the one above for the services that give credentials to a profile.
		"AWS_ENDPOINT_URL_STS": s.URL, "AWS_ENDPOINT_URL_SSO": s.URL, "AWS_ENDPOINT_URL_SSO_OIDC": s.URL,
		"AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE":           filepath.Join(home, "config"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(home,
			"credentials"),
	} {
		t.Setenv(name, value)
	}
	write(t, filepath.Join(home, "config"), strings.ReplaceAll(config, "URL", s.URL))
	return s
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

const plain = `
[profile dev]
region = eu-central-1
aws_access_key_id = AKIADEV0000000000001
aws_secret_access_key = dev/secret
`

func open(t *testing.T, o aws.Options) *aws.Account {
	t.Helper()
	a, err := aws.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func parameter(ref string) secrets.Request {
	return secrets.Request{Name: "V", Kind: secrets.ParameterStore, Ref: ref}
}

func secret(ref string) secrets.Request {
	return secrets.Request{Name: "V", Kind: secrets.SecretsManager, Ref: ref}
}

func TestLookup_BatchesParametersByTen(t *testing.T) {
	s := shell(t, plain)
	s.Parameters = map[string]string{"/app/list": "a,b,c", "/app/x:3": "third", "/app/x": "newest"}
	needs := []secrets.Request{parameter("/app/list"), parameter("/app/x:3"), parameter("/app/x"),
		parameter("arn:aws:ssm:us-east-1:123456789012:parameter/app/x"), parameter("/app/x"), parameter("/app/none")}
	want := []string{"a,b,c", "third", "newest", "newest", "newest", ""}
	for i := range 20 {
		name := fmt.Sprintf("/many/%02d", i)
		s.Parameters[name] = name
		needs, want = append(needs, parameter(name)), append(want, name)
	}
	a := open(t, aws.Options{Profile: "dev"})
	if a.Region() != "eu-central-1" {
		t.Errorf("region %s", a.Region())
	}
	for i, got := range a.Lookup(t.Context(), needs) {
		if missing := needs[i].Ref == "/app/none"; got.Value.Reveal() != want[i] || got.Missing() != missing ||
			!missing && got.Err != nil {
			t.Errorf("%s: got %+v, want %q", needs[i].Ref, got, want[i])
		}
	}
	for _, r := range s.Requests() {
		if r.Operation != "GetParameters" || r.Service != "ssm" || r.AccessKey != "AKIADEV0000000000001" {
			t.Errorf("got %+v", r)
		}
	}
	if n := len(s.Requests()); n != 3 {
		t.Errorf("%d requests for 25 names; want 3", n)
	}
}

func TestLookup_RequestsEachSecretOnce(t *testing.T) {
	s := shell(t, plain)
	s.Secrets = map[string]map[string]string{
		"team/app": {"AWSCURRENT": `{"user":"admin","port":5432,"deep":{"a":[1]},"quoted":"a\"b"}`, "AWSPREVIOUS": "old",
			"0a1b": `{"user":"by id"}`},
		"bytes": {"AWSCURRENT": "x"},
	}
	s.Binary = map[string]bool{"bytes": true}
	whole := s.Secrets["team/app"]["AWSCURRENT"]
	const arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:team/app-AbCdEf"
	tests := []struct{ ref, value, whole, err string }{
		{"team/app", whole, "", ""},
		{"team/app:user", "admin", whole, ""},
		{"team/app:port", "5432", whole, ""},
		{"team/app:deep", `{"a":[1]}`, whole, ""},
		{"team/app:quoted", `a"b`, whole, ""},
		{"team/app::AWSPREVIOUS", "old", "", ""},
		{"team/app:user::0a1b", "by id", `{"user":"by id"}`, ""},
		{arn + ":user", "admin", whole, ""},
		{"team/app:none", "", whole, "has no key none"},
		{"team/app:user:AWSPREVIOUS", "", "old", "not a JSON object"},
		{"bytes", "", "", "only a SecretBinary"},
		{"none", "", "", "not found"},
		{"a:b:c:d", "", "", "a version-stage and a version-id"},
	}
	var needs []secrets.Request
	for _, test := range tests {
		needs = append(needs, secret(test.ref))
	}
	for i, got := range open(t, aws.Options{Profile: "dev"}).Lookup(t.Context(), needs) {
		test := tests[i]
		if got.Value.Reveal() != test.value || got.Whole.Reveal() != test.whole || test.err == "" && got.Err != nil ||
			test.err != "" && !strings.Contains(fmt.Sprint(got.Err), test.err) {
			t.Errorf("%s: got %+v, want %+v", test.ref, got, test)
		}
	}
	if n := s.Count("GetSecretValue"); n != 6 {
		t.Errorf("%d requests; want 6: one for each secret and version", n)
	}
}

// TestLookup_ErrorMessages: each way in which AWS does not give a value has its
// message, and none hangs.
func TestLookup_ErrorMessages(t *testing.T) {
	all := map[string]bool{"GetParameters": true, "GetSecretValue": true}
	tests := map[string]struct {
		change  func(*awstest.Server)
		profile string
		refused bool
		want    []string
	}{
		"access denied": {func(s *awstest.Server) { s.Denied = all }, "dev", true, []string{"AccessDeniedException: " +
			"User: ", "\n    status code: 400, request id: 0000"}},
		"too many": {func(s *awstest.Server) { s.Throttled = map[string]int{"GetParameters": 99, "GetSecretValue": 99} },
			"dev", true, []string{"ThrottlingException: Rate exceeded"}},
		"no answer": {func(s *awstest.Server) { s.Silent = all }, "dev", false, []string{"AWS does not answer",
			"took more than 300ms"}},
		"nobody there": {func(s *awstest.Server) { os.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1") }, "dev", false,
			[]string{"AWS cannot be reached: Post", "connection refused", "HTTPS_PROXY"}},
		"old credentials": {func(s *awstest.Server) { s.Expired = true }, "dev", false, []string{"the credentials of the " +
			"profile dev cannot be used: ExpiredTokenException", "aws sso login --profile dev"}},
		"no credentials": {func(*awstest.Server) {}, "", false, []string{"no AWS credentials were found: neither in " +
			"variables", "--profile"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := shell(t, plain)
			test.change(s)
			a := open(t, aws.Options{Profile: test.profile, Patience: 300 * time.Millisecond})
			for _, got := range a.Lookup(t.Context(), []secrets.Request{parameter("/a"), secret("b")}) {
				for _, want := range test.want {
					if got.Err == nil || !strings.Contains(got.Err.Error(), want) {
						t.Errorf("got %v, want %q", got.Err, want)
					}
				}
				if errors.Is(got.Err, secrets.ErrRefused) != test.refused || got.Missing() {
					t.Errorf("%v: refused should be %v", got.Err, test.refused)
				}
			}
		})
	}
}

func TestLookup_RetriesThrottledRequests(t *testing.T) {
	s := shell(t, plain)
	s.Parameters, s.Throttled = map[string]string{"/a": "x"}, map[string]int{"GetParameters": 2}
	if got := open(t, aws.Options{Profile: "dev"}).Lookup(t.Context(),
		[]secrets.Request{parameter("/a")})[0]; got.Value.Reveal() != "x" {
		t.Errorf("got %+v", got)
	}
}

func TestLookup_ResponseWithoutNameIsError(t *testing.T) {
	s := shell(t, plain)
	s.Parameters, s.Forgotten = map[string]string{"/a": "x"}, map[string]bool{"/a": true}
	got := open(t, aws.Options{Profile: "dev"}).Lookup(t.Context(), []secrets.Request{parameter("/a")})[0]
	if got.Err == nil || got.Missing() || !strings.Contains(got.Err.Error(), "does not contain /a") {
		t.Errorf("got %+v", got)
	}
}

func TestLookup_EndsWithContext(t *testing.T) {
	s := shell(t, plain)
	s.Silent = map[string]bool{"GetParameters": true}
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { cancel(stopped) })
	if got := open(t, aws.Options{Profile: "dev"}).Lookup(ctx, []secrets.Request{parameter("/a")})[0]; !errors.Is(got.Err,
		stopped) {
		t.Errorf("got %v", got.Err)
	}
}

func TestKeys_AssumedRoleIsRenewed(t *testing.T) {
	s := shell(t, plain)
	s.Lifetime = 5 * time.Minute // shorter than the minimum validity of credentials
	a := open(t, aws.Options{Profile: "dev", AssumeRole: "arn:aws:iam::123456789012:role/service", Session: "build-7"})
	for n := 1; n <= 2; n++ {
		key, secretKey, token := awstest.RoleKeys(n)
		got, err := a.Keys(t.Context())
		if err != nil || got.AccessKeyID != key || got.SecretAccessKey != secretKey || got.SessionToken != token {
			t.Errorf("got %+v, %v", got, err)
		}
		if left := time.Until(got.Expires); left < 4*time.Minute || left > 6*time.Minute {
			t.Errorf("the keys expire in %v", left)
		}
	}
	s.Change(func(s *awstest.Server) { s.Lifetime = time.Hour })
	for range 3 {
		if got, err := a.Keys(t.Context()); err != nil || got.AccessKeyID != "ASIAROLE000000000003" {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	if r := s.Requests()[0]; r.AccessKey != "AKIADEV0000000000001" || !strings.Contains(r.Body,
		"RoleSessionName=build-7") {
		t.Errorf("got %+v", r)
	}
	s.Change(func(s *awstest.Server) { s.Denied = map[string]bool{"AssumeRole": true} })
	_, err := open(t, aws.Options{Profile: "dev", AssumeRole: "arn:aws:iam::123456789012:role/service"}).Keys(t.Context())
	if err == nil || !strings.Contains(err.Error(), "is not authorized to perform: sts:AssumeRole") {
		t.Errorf("got %v", err)
	}
}

func TestOpen_KindsOfProfiles(t *testing.T) {
	s := shell(t, plain+`
[profile role]
role_arn = arn:aws:iam::123456789012:role/of-profile
source_profile = dev
[profile mfa]
role_arn = arn:aws:iam::123456789012:role/of-profile
source_profile = dev
mfa_serial = arn:aws:iam::123456789012:mfa/me
[profile process]
credential_process = echo '{"Version":1,"AccessKeyId":"AKIAPROCESS000000001","SecretAccessKey":"p"}'
[profile broken]
credential_process = echo secret-of-process; exit 7
[profile sso]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Developer
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = us-east-1
`)
	cache := func(token, expires, refresh string) {
		name := sha1.Sum([]byte("corp"))
		write(t, filepath.Join(os.Getenv("HOME"), ".aws/sso/cache", hex.EncodeToString(name[:])+".json"), fmt.Sprintf(
			`{"accessToken":%q,"expiresAt":%q,"refreshToken":%q,"clientId":"c","clientSecret":"s","registrati`+
				`onExpiresAt":"2100-01-01T00:00:00Z"}`,
			token,
			expires,
			refresh,
		))
	}
	check := func(profile, key, wrong string, mfa func() (string, error)) {
		t.Helper()
		got, err := open(t, aws.Options{Profile: profile, MFA: mfa}).Keys(t.Context())
		if strings.Contains(fmt.Sprint(err), "secret-of-process") {
			t.Errorf("%s: what a program printed is shown: %v", profile, err)
		}
		if got.AccessKeyID != key || wrong == "" && err != nil || wrong != "" && !strings.Contains(fmt.Sprint(err), wrong) {
			t.Errorf("%s: got %+v, %v; want %s %s", profile, got, err, key, wrong)
		}
	}
	check("role", "ASIAROLE000000000001", "", nil)
	check("mfa", "ASIAROLE000000000002", "", func() (string, error) { return "123456", nil })
	if r := s.Requests()[1]; !strings.Contains(r.Body, "TokenCode=123456") {
		t.Errorf("got %+v", r)
	}
	check("mfa", "", "an MFA code is asked for, and there is no terminal", nil)
	check("process", "AKIAPROCESS000000001", "", nil)
	check("broken", "", "credential_process of the profile broken returned no credentials", nil)
	check("sso", "", "Log in with: aws sso login --profile sso", nil) // never logged in
	cache(awstest.SSOToken, "2100-01-01T00:00:00Z", "good")
	check("sso", "ASIASSOROLE000000001", "", nil)
	cache("old", "2020-01-01T00:00:00Z", "good")
	check("sso", "ASIASSOROLE000000001", "", nil) // renewed
	cache("old", "2020-01-01T00:00:00Z", "bad")
	check("sso", "", "aws sso login --profile sso", nil)
	cache("revoked", "2100-01-01T00:00:00Z", "good")
	check("sso", "", "aws sso login --profile sso", nil)
	if _, err := aws.Open(t.Context(), aws.Options{Profile: "none"}); err == nil || !strings.Contains(err.Error(),
		"there is no profile none") {
		t.Errorf("got %v", err)
	}
}
