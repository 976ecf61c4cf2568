package project

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/internal/diag"
)

var syntaxTests = []struct{ title, text, want string }{
	{
		"an empty file", "",
		`p.yml: error: the file is empty; expected a project, as CreateProject takes it`,
	},
	{
		"only comments", "# nothing\n",
		`p.yml: error: the file is empty; expected a project, as CreateProject takes it`,
	},
	{
		"null", "null\n",
		`p.yml:1:1: error: found nothing; expected a project: a mapping with name, source, environment and so on
  1 | null
    | ^^^^`,
	},
	{
		"a list", "- name: web\n",
		`p.yml:1:1: error: found a list; expected a project: a mapping with name, source, environment and so on
  1 | - name: web
    | ^`,
	},
	{
		"a JSON list", `[{"name": "web"}]`,
		`p.yml:1:1: error: found a list; expected a project: a mapping with name, source, environment and so on
  1 | [{"name": "web"}]
    | ^`,
	},
	{
		"a scalar", "web\n",
		`p.yml:1:1: error: found "web"; expected a project: a mapping with name, source, environment and so on
  1 | web
    | ^^^`,
	},
	{
		"two documents", "name: a\n---\nname: b\n",
		`p.yml:3:1: error: found a second document; a file holds one project, so split the file
  3 | name: b
    | ^`,
	},
	{
		"a project that is a list", `{"project": []}`,
		`p.yml:1:13: error: found a list; expected a project: a mapping with name, source, environment and so on
  1 | {"project": []}
    |             ^`,
	},
	{
		"a tab", "source:\n\ttype: S3\n",
		`p.yml:2:1: error: found a tab; expected spaces: YAML is not indented with tabs
  2 | 	type: S3
    | ^`,
	},
	{
		"a tab after a key", "name: x\n\tsource: y\n",
		`p.yml:2:1: error: found a tab; expected spaces: YAML is not indented with tabs
  2 | 	source: y
    | ^`,
	},
	{
		"a colon in a value", "source:\n  type: S3\n  location: x: y\n",
		`p.yml:3:14: error: found ": " where no key is expected; put a value with ": " in quotes, or check the indentation
  3 |   location: x: y
    |              ^`,
	},
	{
		"an open quote", "name: \"abc\nsource: x\n",
		`p.yml:1:7: error: found a quote that is not closed; expected the same quote again
  1 | name: "abc
    |       ^`,
	},
	{
		"wrong indentation", "source:\n  type: S3\n name: y\n",
		`p.yml:3:2: error: found no key here; expected one, indented like those before it, or quotes around the value
  3 |  name: y
    |  ^`,
	},
	{
		"a key without colon", "name: x\nfoo\n",
		`p.yml:2:1: error: found a key without ":"; expected "key: value"
  2 | foo
    | ^`,
	},
	{
		"an open list", "cache:\n  modes: [a, b\nname: c\n",
		`p.yml:2:10: error: found a list that is not closed; expected "," or "]"
  2 |   modes: [a, b
    |          ^`,
	},
	{
		"an open mapping", "source: {type: S3\n",
		`p.yml:1:9: error: found a mapping that is not closed; expected "," or "}"
  1 | source: {type: S3
    |         ^`,
	},
	{
		"an odd first character", "name: @x\n",
		`p.yml:1:7: error: found a character that no value can begin with; put the value in quotes
  1 | name: @x
    |       ^`,
	},
	{
		"an unknown alias", "name: *web\n",
		`p.yml:1:7: error: found *web, but no &web before it; define it, or put the value in quotes
  1 | name: *web
    |       ^`,
	},
	{
		"an unknown escape", `name: "\q"`,
		`p.yml:1:7: error: found an unknown escape; expected \\ for a backslash, or 'single quotes'
  1 | name: "\q"
    |       ^`,
	},
	{
		"text behind a quote", "name: b\ndescription: \"d\" e\n",
		`p.yml:2:18: error: found no key here; expected one, indented like those before it, or quotes around the value
  2 | description: "d" e
    |                  ^`,
	},
	{
		"no dash", "secondarySources:\n- a\nname: c\n- b\n",
		`p.yml:4:1: error: found no key here; expected one, indented like those before it, or quotes around the value
  4 | - b
    | ^`,
	},
	{
		"deep nesting", strings.Repeat("[", 20_000),
		`p.yml:1:10001: error: found '['; expected fewer levels of nesting`,
	},
	{
		"no comma in JSON", "{\n  \"name\": \"a\"\n  \"source\": {}\n}\n",
		`p.yml:3:3: error: found '"'; expected "," or "}"
  3 |   "source": {}
    |   ^`,
	},
	{
		"a comment in JSON", "{\n  // the name\n  \"name\": \"a\"\n}\n",
		`p.yml:2:3: error: found '/'; expected a key in double quotes (no comment, no comma before "}")
  2 |   // the name
    |   ^`,
	},
	{
		"JSON cut short", `{"name": "a", "source": {`,
		`p.yml:1:26: error: found the end of the file; expected a closing "}", "]" or quote
  1 | {"name": "a", "source": {
    |                          ^`,
	},
	{
		"two JSON documents", "{\"name\": \"a\"}\n{\"name\": \"b\"}\n",
		`p.yml:2:1: error: found '{'; expected nothing after the end of the document
  2 | {"name": "b"}
    | ^`,
	},
	{
		"a bare word in JSON", `{"name": "a", "badgeEnabled": nul, "x" 1}`,
		`p.yml:1:34: error: found ','; expected true, false or null
  1 | {"name": "a", "badgeEnabled": nul, "x" 1}
    |                                  ^`,
	},
	{
		"no colon in JSON", `{"name" "a"}`,
		`p.yml:1:9: error: found '"'; expected ":"
  1 | {"name" "a"}
    |         ^`,
	},
	{
		"no comma in a JSON list", `{"cache": {"modes": ["a" "b"]}}`,
		`p.yml:1:26: error: found '"'; expected "," or "]"
  1 | {"cache": {"modes": ["a" "b"]}}
    |                          ^`,
	},
	{
		"a control character", "name: a\x01b\n",
		`p.yml:1:8: error: found the control character U+0001; take it out, or write it as an escape in double quotes
  1 | name: a�b
    |        ^`,
	},
	{
		"a byte that is not UTF-8", "name: w\xe9b\n",
		`p.yml:1:8: error: found a byte that is not UTF-8; save the file as UTF-8 text
  1 | name: w�b
    |        ^`,
	},
	{
		"an alias in itself", "name: &a [*a]\n",
		`p.yml: error: the aliases (*name) of the file unfold to more than 1048576 values; write them out`,
	},
}

func TestTextThatIsNoDocumentIsToldByPlaceAndWayOut(t *testing.T) {
	t.Parallel()
	for _, test := range syntaxTests {
		t.Run(test.title, func(t *testing.T) {
			t.Parallel()
			_, problems := Parse("p.yml", []byte(test.text), "")
			if diff := cmp.Diff(test.want, problems.Error()); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseIsBounded(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 10) + "]\n"
	}
	long := strings.Repeat("a", maxSize/2)
	tests := []struct{ title, text, want string }{
		{"too large", strings.Repeat("#", maxSize+1), "p.yml: error: the file has 1048577 bytes; a project document has " +
			"at most 1048576"},
		{"an alias bomb", bomb, "p.yml: error: the aliases (*name) of the file unfold to more than 1048576 values; write " +
			"them out"},
		{"a long key", "name: x\n? " + long + "\n: 1\n", "p.yml:2:3: warning: unknown " +
			"key \"" + long[:57] + "...\" is ignored; CreateProject has none such"},
		{"many lines and an error at " +
			"the end", strings.Repeat("name: x\n", maxSize/16) + "a: b: c\n", `p.yml:65537: error: found ": " where no key is expected; put a value with ": " in quotes, or check the indentation`},
	}
	for _, test := range tests {
		t.Run(test.title, func(t *testing.T) {
			t.Parallel()
			const bound = 30 * time.Second // with -race on a busy machine some ten; what is not bounded takes minutes
			var problems diag.List
			took := time.Duration(math.MaxInt64)
			for range 3 { // a machine that is busy is slow once, not each time
				begin := time.Now()
				_, problems = Parse("p.yml", []byte(test.text), "")
				if took = min(took, time.Since(begin)); took <= bound {
					break
				}
			}
			if took > bound {
				t.Errorf("took %s", took)
			}
			if len(problems) != 1 || problems[0].Error() != test.want {
				t.Errorf("got %d problems:\n%.300s\nwant\n%.300s", len(problems), problems.Error(), test.want)
			}
		})
	}
}

func TestParseReadsWhatPowerShellWrites(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"UTF-8 with a mark":  "\xef\xbb\xbf{\"name\": \"a\"}",
		"UTF-16, low first":  "\xff\xfe" + "{\x00\"\x00n\x00a\x00m\x00e\x00\"\x00:\x00\"\x00a\x00\"\x00}\x00",
		"UTF-16, high first": "\xfe\xff" + "\x00{\x00\"\x00n\x00a\x00m\x00e\x00\"\x00:\x00\"\x00a\x00\"\x00}",
	}
	for title, text := range tests {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			got, problems := Parse("p.json", []byte(text), "")
			if got.Name != "a" || len(problems) > 0 {
				t.Errorf("got %q\n%s", got.Name, problems.Error())
			}
		})
	}
}
