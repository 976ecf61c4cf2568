package runner_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine/enginetest"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
)

const one = "version: 0.2\nenv: {git-credential-helper: yes}\nphases: {build: {commands: [c]}}\n"

// exported returns the value of a variable in the fake shell.
func exported(fake *enginetest.Fake, name string) string {
	m := regexp.MustCompile("(?m)^export " + name + "='(.*)'$").FindStringSubmatch(strings.Join(fake.State, "\n"))
	if m == nil {
		return ""
	}
	return m[1]
}

// ask sends a request as a program of the build would.
func ask(t *testing.T, method, url, token, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// TestCredentials_FallbackRequiresToken: at a fallback address, variables lead to it and a
// token is required. Answers are masked, and each request gets new keys.
func TestCredentials_FallbackRequiresToken(t *testing.T) {
	t.Parallel()
	given := 0
	c := &runner.Credentials{
		ID: "the-id", GitID: "git-id", Token: "the-token",
		Now: func() time.Time { return began },
		Keys: func(context.Context) (runner.Keys, error) {
			if given++; given > 2 {
				return runner.Keys{}, errors.New("the session has expired")
			}
			return runner.Keys{
				AccessKeyID:     "ASIA",
				SecretAccessKey: fmt.Sprintf("secret-%d", given),
				SessionToken:    fmt.Sprintf("token-%d", given),
				Expires:         began.Add(time.Hour),
			}, nil
		},
		Git: func(_ context.Context, question string) (string, error) {
			if strings.Contains(question, "host=known") {
				return question + "username=me\npassword=git-password\n", nil
			}
			return "", errors.New("nothing for it")
		},
	}
	fake := &enginetest.Fake{}
	fake.Do = func(_ string, output io.Writer) int {
		uri, token := exported(fake, "AWS_CONTAINER_CREDENTIALS_FULL_URI"), exported(
			fake,
			"AWS_CONTAINER_AUTHORIZATION_TOKEN",
		)
		git := strings.Replace(uri, "/v2/credentials/the-id", "/git/git-id", 1)
		for _, request := range [][4]string{
			{"GET", uri, token, ""}, {"GET", uri, token, ""}, {"GET", uri, token, ""}, {"GET", uri, token, ""},
			{"GET", uri, "another", ""}, {"GET", uri + "x", token, ""}, {"PUT", uri, token, ""},
			{"POST", git, token, "protocol=https\nhost=known\n"},
			{"POST", git, token, "protocol=https\nhost=other\n"}, {"POST", git, "", "x"},
			{"POST", git, token, strings.Repeat("x", 17<<10)},
		} {
			status, text := ask(t, request[0], request[1], request[2], request[3])
			fmt.Fprintf(output, "%d %s\n", status, strings.TrimSpace(text))
		}
		return 0
	}
	plan := planOf(t, one, func(in *runner.Inputs) { in.CredentialID, in.GitCredentials = "the-id", true })
	record, lines, err := play(t, t.Context(), fake, plan, func(r *runner.Runner) { r.Endpoints = []runner.Endpoint{c} })
	if err != nil || record.Status != runner.Succeeded {
		t.Fatal(record, err)
	}
	text := strings.Join(lines, "\n")
	answer := `200 {"AccessKeyId":"***","Expiration":"2026-07-04T14:09:39Z","SecretAccessKey":"***","Token":"***"}`
	gone := `500 {"code":"CredentialsUnavailable","message":"the session has expired"}`
	want := strings.Join(
		[]string{
			answer,
			answer,
			gone,
			gone,
			"401 the header",
			"404 404 page",
			"405 Method Not Allowed",
			"200 protocol=https\nhost=known\nusername=me\npassword=***",
			"204 ",
			"401 the header",
			"413 http: request body too large",
		},
		"\n",
	)
	for _, line := range strings.Split(want, "\n") {
		if !strings.Contains(text, line) {
			t.Errorf("%s is not in\n%s", line, text)
		}
	}
	if strings.Count(
		text, "note: The build requested AWS credentials, but none are available: the session has expired",
	) != 1 ||
		strings.Count(text, "note: The build requested git credentials, but none are available: nothing for it") != 1 {
		t.Errorf("each error is noted once: %s", text)
	}
	if uri := "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"; !strings.Contains(strings.Join(fake.State, "\n"), "unset "+uri) {
		t.Errorf("%s is left", uri)
	}
}

func TestCredentials_NoneByDefault(t *testing.T) {
	t.Parallel()
	fake := &enginetest.Fake{}
	_, lines, err := play(t, t.Context(), fake, planOf(t, one))
	if err != nil || len(fake.Specs[0].Network.Services) > 0 ||
		strings.Contains(strings.Join(fake.State, "\n"), "CREDENTIALS") {
		t.Errorf("%v: %v", err, fake.State)
	}
	if text := strings.Join(lines, "\n"); !strings.Contains(
		text, "note: The buildspec sets git-credential-helper, which requires --git-credentials.",
	) {
		t.Errorf("got %s", text)
	}
}

func TestProxies_OfHost(t *testing.T) {
	t.Parallel()
	host := map[string]string{"HTTPS_PROXY": "http://me:pass-word@proxy:3128", "no_proxy": "internal, 127.0.0.1"}
	lookup := func(name string) (string, bool) { value, found := host[name]; return value, found }
	all := runner.Proxies(lookup)
	got := ""
	for _, v := range all {
		got += v.Name + "=" + v.Value + "\n"
	}
	const direct = "internal,127.0.0.1,localhost,169.254.170.2"
	want := "HTTPS_PROXY=http://me:pass-word@proxy:3128\nNO_PROXY=" + direct +
		"\nhttps_proxy=http://me:pass-word@proxy:3128\nno_proxy=" + direct + "\n"
	if got != want {
		t.Errorf("got %s", got)
	}
	for proxy, want := range map[string]bool{
		"127.0.0.1:3128": true, "http://localhost:1": true, "http://[::1]:1": true, "http://me:pw@127.9.9.9": true,
		"http://proxy": false, "10.0.0.1:1": false, "": false,
	} {
		if got := runner.Loopback(proxy); got != want {
			t.Errorf("%s: %v", proxy, got)
		}
	}
	delete(host, "HTTPS_PROXY")
	if all := runner.Proxies(lookup); all != nil {
		t.Errorf("without a proxy: %v", all)
	}
}

func TestHostProxy_LowestPrecedence(t *testing.T) {
	t.Parallel()
	fake := &enginetest.Fake{Do: func(_ string, output io.Writer) int {
		fmt.Fprintln(output, "via http://me:pass-word@proxy or pass-word or p%40ss-2 or p@ss-2")
		return 0
	}}
	plan := planOf(
		t,
		"version: 0.2\nenv: {variables: {http_proxy: mine}}\nphases: {build: {commands: [c]}}\n",
		func(in *runner.Inputs) {
			in.Host = []project.Variable{
				{Name: "HTTP_PROXY", Value: "http://me:pass-word@proxy"},
				{Name: "http_proxy", Value: "theirs"},
				{Name: "HTTPS_PROXY", Value: "me:p%40ss-2@proxy:1"},
			}
			in.Certificates, in.CABundle, in.Privileged = []byte("-----BEGIN"), "ca.pem", true
		},
	)
	_, lines, err := play(t, t.Context(), fake, plan)
	if err != nil || exported(fake, "http_proxy") != "mine" ||
		exported(fake, "SSL_CERT_FILE") != "/codebuild/certificates/all.pem" {
		t.Errorf("%v: %v", err, fake.State)
	}
	if text := strings.Join(lines, "\n"); !strings.Contains(text, "> via *** or *** or *** or ***") {
		t.Errorf("got %s", text)
	}
	if text := shownVariables(plan); strings.Contains(text, "pass-word") || strings.Contains(text, "ss-2") ||
		!strings.Contains(text, "http_proxy=mine  (buildspec.yml:2, hides your environment)") {
		t.Errorf("got %s", text)
	}
	if env := strings.Join(fake.Specs[0].Env, " "); !strings.Contains(env, "HTTP_PROXY=http://me") ||
		!strings.Contains(env, "SSL_CERT_FILE=/codebuild") ||
		strings.Contains(env, "http_proxy") {
		t.Errorf("a privileged container begins with %s", env)
	}
	if len(fake.Copied["/codebuild/certificates"]) != 1 {
		t.Errorf("copied: %v", fake.Copied)
	}
}
