package lint_test

import (
	"fmt"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/lint"
)

func TestLint_PatternsAndVersion(t *testing.T) {
	t.Parallel()
	source := fstest.MapFS{"app/[id].js": {}, "app/i.js": {}, "p/[slug]/x.js": {}, "log1.txt": {}, "!odd/x": {}}
	const batch = "batch:\n  build-list:\n    - identifier: one\n"
	const class = "artifacts: {files: ['log[0-9].txt', '*/[id].js', 'app/\\[id\\].js', 'app/[ab].js']}\n"
	const build = "version: 0.2\nphases: {build: {commands: [make]}}\n"
	for text, want := range map[string][]string{
		"version: \"0.2\"\n" + batch:                                     {"1:10 quoted-version"},
		"version: '0.2'\n" + batch:                                       {"1:10 quoted-version"},
		"version: 0.2\n" + batch:                                         nil,
		"version: \"0.2\"\nphases: {build: {commands: [make]}}\n":        nil,
		build + "artifacts:\n":                                           {"3:1 no-files"},
		build + "artifacts:\n  files:\n":                                 {"3:1 no-files"},
		build + "artifacts:\n  files:\n    - app/[id].js\n":              {"5:7 bracket-pattern"},
		build + "artifacts:\n  files: ['p/[slug]/*.js', '**/*']\n":       {"4:11 bracket-pattern"},
		build + "artifacts: {base-directory: app, files: ['[id].js']}\n": {"3:42 bracket-pattern"},
		build + "reports: {r: {files: ['app/[id].js']}}\n":               {"3:23 bracket-pattern"},
		build + "cache:\n  paths:\n    - app/[id].js\n":                  {"5:7 bracket-pattern"},
		build + class: nil,
		build + "cache:\n  paths:\n    - 'a/**/*'\n    - '!a/b/**/*'\n": {"6:7 negated-path"},
		build + "cache:\n  paths:\n    - '!odd/x'\n    - 'a!/b'\n":      nil,
	} {
		spec, found := buildspec.Parse("b.yml", []byte(text))
		var got []string
		for _, p := range lint.Check(lint.Input{Spec: spec, Source: source}, found, nil) {
			got = append(got, fmt.Sprintf("%d:%d %s", p.Line, p.Column, p.Name))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s\n%s", text, diff)
		}
	}
}
