package secrets_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/secrets"
)

const written = `
parameter-store:
  /app/url: https://example.com
  /app/number: 010
  /app/list: [a, b, c]
  /app/empty: ""
  /app/key: !file key.pem
  arn:aws:ssm:us-east-1:111122223333:parameter/shared/x: shared
  /app/cmd: !cmd printf 'from %s\n\n' "$(basename "$PWD")"
  /app/fails: !cmd "echo locked >&2; exit 3"
  /app/says-nothing: !cmd "true"
  /app/away: !file none
  /app/v:3: third
secrets-manager:
  plain: just text
  app:
    user: admin
    port: 5432
    on: true
    quoted: 'say "<&>"'
    token: !cmd echo t0ken
    deep: {a: [1, two, 3.5]}
  app:token:AWSPREVIOUS: older
  arn:aws:secretsmanager:us-east-1:111122223333:secret:team/db-AbCdEf: {password: p}
  app:only: by itself
  json: !file secret.json
  half: {filled: in, open: }
  none:
`

func TestFileLookup_EachForm(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "here")
	files := map[string]string{"key.pem": "-----BEGIN\nabc\n-----END\n", "secret.json": `{"a":"from json"}`}
	for name, text := range files {
		write := os.WriteFile
		if err := errors.Join(os.MkdirAll(dir, 0o755), write(filepath.Join(dir, name), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	f, problems := secrets.ParseFile(filepath.Join(dir, "secrets.yml"), []byte(written))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	const whole = `{"user":"admin","port":5432,"on":true,"quoted":"say \"<&>\"","token":"t0ken",` +
		`"deep":{"a":[1,"two",3.5]}}`
	ssm, sm := secrets.ParameterStore, secrets.SecretsManager
	for _, test := range []struct {
		kind             secrets.Kind
		ref, value, fail string
	}{
		{ssm, "/app/url", "https://example.com", ""},
		{ssm, "arn:aws:ssm:eu-west-1:999999999999:parameter/app/url", "https://example.com", ""},
		{ssm, "/app/number", "010", ""},
		{ssm, "/app/list", "a,b,c", ""},
		{ssm, "/app/empty", "", ""},
		{ssm, "/app/key", "-----BEGIN\nabc\n-----END", ""},
		{ssm, "/shared/x", "shared", ""},
		{ssm, "arn:aws:ssm:us-east-1:999999999999:parameter/shared/x", "", "not found"},
		{ssm, "/app/cmd", "from here", ""},
		{ssm, "/app/fails", "", "exit status 3: locked"},
		{ssm, "/app/says-nothing", "", "the command printed nothing"},
		{ssm, "/app/away", "", "no such file"},
		{ssm, "/app/v:3", "third", ""},
		{ssm, "/app/v", "", "not found"},
		{ssm, "plain", "", "not found"}, // in the other store
		{sm, "plain", "just text", ""},
		{sm, "plain:key", "", "not a JSON object"},
		{sm, "app", whole, ""},
		{sm, "app:user", "admin", ""},
		{sm, "app:port", "5432", ""},
		{sm, "app:deep", `{"a":[1,"two",3.5]}`, ""},
		{sm, "app:token:AWSCURRENT", "t0ken", ""},
		{sm, "app:token:AWSPREVIOUS", "older", ""},
		{sm, "app:user:AWSPREVIOUS", "", "not found"},
		{sm, "app:user::0a1b", "", "not found"},
		{sm, "app:none", "", "has no key none"},
		{sm, "app:only", "by itself", ""},
		{sm, "team/db:password", "p", ""},
		{sm, "arn:aws:secretsmanager:us-east-1:111122223333:secret:team/db:password", "p", ""},
		{sm, "arn:aws:secretsmanager:us-east-1:999999999999:secret:team/db-AbCdEf", "", "not found"},
		{sm, "arn:aws:secretsmanager:us-east-1:999999999999:secret:app-GhIjKl:user", "admin", ""},
		{sm, "json:a", "from json", ""},
		{sm, "none", "", "not found"}, // empty
		{sm, "none:a", "", "not found"},
		{sm, "half:filled", "in", ""},
		{sm, "half:open", "", "not found"},
		{sm, "half", "", "not found"},
	} {
		got := f.Lookup(t.Context(), []secrets.Request{{Name: "V", Kind: test.kind, Ref: test.ref}})[0]
		if got.Value.Reveal() != test.value || (got.Err == nil) != (test.fail == "") ||
			!strings.Contains(fmt.Sprint(got.Err), test.fail) {
			t.Errorf("%s: got %q, %v; want %q %s", test.ref, got.Value.Reveal(), got.Err, test.value, test.fail)
		}
	}
}

func TestParseFile_Problems(t *testing.T) {
	t.Parallel()
	_, problems := secrets.ParseFile("s.yml", []byte(`
parameter-stor: {}
parameter-store:
  /b: {x: topsecret}
  /c: !vault topsecret
  /d: !file
  /e: topsecret
  /e: topsecret
secrets-manager:
  a:b:c:d: topsecret
  arn:aws:ssm:x: topsecret
  f: !cmd [topsecret]
  g: &g {again: *g}
`))
	text := problems.Error()
	for _, want := range []string{
		`s.yml:2:1: error: unknown key "parameter-stor"` + "\nhint: " + `did you mean "parameter-store"?`,
		"s.yml:4:7: error: /b holds a mapping",
		"s.yml:5:7: error: /c has the tag !vault on a text\nhint: write !file PATH, !cmd COMMAND or no tag",
		"s.yml:6:7: error: /d has no argument after !file", "s.yml:8:3: error: /e is written twice, first in line 7",
		"s.yml:10:3: error: \"a:b:c:d\" has a version-stage and a version-id",
		"s.yml:11:3: error: \"arn:aws:ssm:x\" is not the ARN of a secret",
		"s.yml:12:6: error: f has the tag !cmd on a list", "g has more than 100 levels",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "topsecret") {
		t.Errorf("a value is in\n%s", text)
	}
	for text, want := range map[string]string{
		"a: [":                                   "s.yml:1: error: invalid YAML",
		"a: *topsecret":                          "a value begins with *, which is an alias in YAML\nhint: put",
		"a: pass: word":                          "mapping values are not allowed in this context\nhint: put a value",
		"a:\n\t- b":                              "found character that cannot start any token",
		"parameter-store: {a: correct #horse\n}": "s.yml:1:22: warning: a ends where a # begins a comment",
		"- topsecret":                            "found a list",
		"topsecret":                              "found a text",
		"secrets-manager: topsecret":             "holds a text",
	} {
		if _, problems := secrets.ParseFile("s.yml", []byte(text)); !strings.Contains(problems.Error(), want) ||
			strings.Contains(problems.Error(), "topsecret") {
			t.Errorf("%s: got %v", text, problems)
		}
	}
	if _, problems := secrets.ParseFile("s.yml", []byte("# nothing yet\nparameter-store:\n")); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestStores_AskedInOrder(t *testing.T) {
	t.Parallel()
	first, _ := secrets.ParseFile("1.yml", []byte("parameter-store: {a: one}\nsecrets-manager: {j: {x: 1}}"))
	second, _ := secrets.ParseFile("2.yml", []byte("parameter-store: {a: two, b: two}\nsecrets-manager: {j: {y: 2}}"))
	needs := []secrets.Request{
		{Name: "B", Kind: secrets.ParameterStore, Ref: "b"},
		{Name: "A", Kind: secrets.ParameterStore, Ref: "a"},
	}
	got, err := secrets.Resolve(t.Context(), secrets.Stores{first, second}, needs)
	if err != nil || got[needs[0]].Value.Reveal() != "two" || got[needs[1]].Value.Reveal() != "one" ||
		got[needs[0]].From != "2.yml:1" {
		t.Errorf("got %+v, %v", got, err)
	}
	needs = append(
		needs, secrets.Request{Name: "C", Kind: secrets.ParameterStore, Ref: "c"},
		secrets.Request{Name: "D", Kind: secrets.SecretsManager, Ref: "d"},
		secrets.Request{Name: "E", Kind: secrets.SecretsManager, Ref: "j:y"},
	)
	_, err = secrets.Resolve(t.Context(), secrets.Stores{first, second}, needs)
	var f *secrets.Failure
	if !errors.As(err, &f) || f.StatusCode != "Decrypted Variables Error" ||
		f.Message != "parameter does not exist: c; secret does not exist: d; 1.yml:2: the secret of j:y has no key y" ||
		f.Reason != "no value for C, D; 1.yml:2: the secret of j:y has no key y" ||
		!slices.Equal(f.Names, []string{"C", "D", "E"}) ||
		f.Hint != "-e NAME=VALUE, or buildlocal secrets init, or --aws to ask AWS" {
		t.Errorf("got %+v", err)
	}
}

func TestResolve_RejectsNUL(t *testing.T) {
	t.Parallel()
	f, _ := secrets.ParseFile("s.yml", []byte(`parameter-store: {a: !!binary AAEC}`))
	requests := []secrets.Request{{Name: "A", Kind: secrets.ParameterStore, Ref: "a"}}
	if _, err := secrets.Resolve(t.Context(), f, requests); err == nil || !strings.Contains(err.Error(), "NUL character") {
		t.Errorf("got %v", err)
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add([]byte(written), "app:user")
	f.Add([]byte("secrets-manager: {a: &a [*a], b: !cmd x}"), "a")
	f.Fuzz(func(t *testing.T, text []byte, ref string) {
		file, _ := secrets.ParseFile("s.yml", text)
		for _, kind := range []secrets.Kind{secrets.ParameterStore, secrets.SecretsManager} {
			file.Where(secrets.Request{Name: "V", Kind: kind, Ref: ref})
		}
		secrets.Encrypted(text)
	})
}
