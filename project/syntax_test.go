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
		`p.yml: error: the file is empty
hint: write a project, in the format of CreateProject`,
	},
	{
		"only comments", "# nothing\n",
		`p.yml: error: the file is empty
hint: write a project, in the format of CreateProject`,
	},
	{
		"null", "null\n",
		`p.yml:1:1: error: a project must be a mapping with name, source, environment and so on, not null
  1 | null
    | ^^^^`,
	},
	{
		"a list", "- name: web\n",
		`p.yml:1:1: error: a project must be a mapping with name, source, environment and so on, not a list
  1 | - name: web
    | ^`,
	},
	{
		"a JSON list", `[{"name": "web"}]`,
		`p.yml:1:1: error: a project must be a mapping with name, source, environment and so on, not a list
  1 | [{"name": "web"}]
    | ^`,
	},
	{
		"a scalar", "web\n",
		`p.yml:1:1: error: a project must be a mapping with name, source, environment and so on, not "web"
  1 | web
    | ^^^`,
	},
	{
		"two documents", "name: a\n---\nname: b\n",
		`p.yml:3:1: error: a second document begins here
  3 | name: b
    | ^ split the file: it can hold only one project`,
	},
	{
		"a project that is a list", `{"project": []}`,
		`p.yml:1:13: error: a project must be a mapping with name, source, environment and so on, not a list
  1 | {"project": []}
    |             ^`,
	},
	{
		"a tab", "source:\n\ttype: S3\n",
		`p.yml:2:1: error: tab in the indentation
  2 | 	type: S3
    | ^ indent with spaces`,
	},
	{
		"a tab after a key", "name: x\n\tsource: y\n",
		`p.yml:2:1: error: tab in the indentation
  2 | 	source: y
    | ^ indent with spaces`,
	},
	{
		"a colon in a value", "source:\n  type: S3\n  location: x: y\n",
		`p.yml:3:14: error: unexpected ": "
  3 |   location: x: y
    |              ^ put a value with ": " in quotes, or check the indentation`,
	},
	{
		"an open quote", "name: \"abc\nsource: x\n",
		`p.yml:1:7: error: a quote is not closed
  1 | name: "abc
    |       ^ add the closing quote`,
	},
	{
		"wrong indentation", "source:\n  type: S3\n name: y\n",
		`p.yml:3:2: error: no key here
  3 |  name: y
    |  ^ align it with the keys above, or put the value in quotes`,
	},
	{
		"a key without colon", "name: x\nfoo\n",
		`p.yml:2:1: error: a key has no ":"
  2 | foo
    | ^ write "key: value"`,
	},
	{
		"an open list", "cache:\n  modes: [a, b\nname: c\n",
		`p.yml:2:10: error: a list is not closed
  2 |   modes: [a, b
    |          ^ write "," or "]" here`,
	},
	{
		"an open mapping", "source: {type: S3\n",
		`p.yml:1:9: error: a mapping is not closed
  1 | source: {type: S3
    |         ^ write "," or "}" here`,
	},
	{
		"an odd first character", "name: @x\n",
		`p.yml:1:7: error: a value cannot begin with this character
  1 | name: @x
    |       ^ put the value in quotes`,
	},
	{
		"an unknown alias", "name: *web\n",
		`p.yml:1:7: error: alias *web has no anchor &web before it
  1 | name: *web
    |       ^ define it, or put the value in quotes`,
	},
	{
		"an unknown escape", `name: "\q"`,
		`p.yml:1:7: error: unknown escape
  1 | name: "\q"
    |       ^ write \\ for a backslash, or use 'single quotes'`,
	},
	{
		"text behind a quote", "name: b\ndescription: \"d\" e\n",
		`p.yml:2:18: error: no key here
  2 | description: "d" e
    |                  ^ align it with the keys above, or put the value in quotes`,
	},
	{
		"no dash", "secondarySources:\n- a\nname: c\n- b\n",
		`p.yml:4:1: error: no key here
  4 | - b
    | ^ align it with the keys above, or put the value in quotes`,
	},
	{
		"deep nesting", strings.Repeat("[", 20_000),
		`p.yml:1:10001: error: unexpected '['
hint: reduce the levels of nesting`,
	},
	{
		"no comma in JSON", "{\n  \"name\": \"a\"\n  \"source\": {}\n}\n",
		`p.yml:3:3: error: unexpected '"'
  3 |   "source": {}
    |   ^ write "," or "}" here`,
	},
	{
		"a comment in JSON", "{\n  // the name\n  \"name\": \"a\"\n}\n",
		`p.yml:2:3: error: unexpected '/'
  2 |   // the name
    |   ^ write a key in double quotes (no comment, no comma before "}")`,
	},
	{
		"JSON cut short", `{"name": "a", "source": {`,
		`p.yml:1:26: error: unexpected end of the file
  1 | {"name": "a", "source": {
    |                          ^ add a closing "}", "]" or quote`,
	},
	{
		"two JSON documents", "{\"name\": \"a\"}\n{\"name\": \"b\"}\n",
		`p.yml:2:1: error: unexpected '{'
  2 | {"name": "b"}
    | ^ remove the text after the end of the document`,
	},
	{
		"a bare word in JSON", `{"name": "a", "badgeEnabled": nul, "x" 1}`,
		`p.yml:1:34: error: unexpected ','
  1 | {"name": "a", "badgeEnabled": nul, "x" 1}
    |                                  ^ write true, false or null here`,
	},
	{
		"no colon in JSON", `{"name" "a"}`,
		`p.yml:1:9: error: unexpected '"'
  1 | {"name" "a"}
    |         ^ write ":" here`,
	},
	{
		"no comma in a JSON list", `{"cache": {"modes": ["a" "b"]}}`,
		`p.yml:1:26: error: unexpected '"'
  1 | {"cache": {"modes": ["a" "b"]}}
    |                          ^ write "," or "]" here`,
	},
	{
		"a control character", "name: a\x01b\n",
		`p.yml:1:8: error: control character U+0001
  1 | name: a�b
    |        ^ remove it, or write it as an escape in double quotes`,
	},
	{
		"a byte that is not UTF-8", "name: w\xe9b\n",
		`p.yml:1:8: error: byte is not valid UTF-8
  1 | name: w�b
    |        ^ save the file as UTF-8`,
	},
	{
		"an alias in itself", "name: &a [*a]\n",
		`p.yml: error: the aliases of the file expand to more than 1048576 values
hint: write the values out`,
	},
}

func TestParse_SyntaxErrors(t *testing.T) {
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

func TestParse_IsBounded(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 10) + "]\n"
	}
	long := strings.Repeat("a", maxSize/2)
	tests := []struct{ title, text, want string }{
		{"too large", strings.Repeat("#", maxSize+1),
			"p.yml: error: the file has 1048577 bytes; the maximum for a project document is 1048576"},
		{"an alias bomb", bomb, "p.yml: error: the aliases of the file expand to more than 1048576 values; write " +
			"the values out"},
		{"a long key", "name: x\n? " + long + "\n: 1\n", "p.yml:2:3: warning: unknown key \"" + long[:57] +
			"...\" is ignored; CreateProject has no such key"},
		{"many lines and an error at the end", strings.Repeat("name: x\n", maxSize/16) + "a: b: c\n",
			`p.yml:65537: error: unexpected ": "; put a value with ": " in quotes, or check the indentation`},
	}
	for _, test := range tests {
		t.Run(test.title, func(t *testing.T) {
			t.Parallel()
			const bound = 30 * time.Second // with -race on a busy machine some ten; an unbounded parser takes minutes
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
			p := problems[0]
			if got := strings.Replace(p.Error(), p.Message, p.Text(), 1); len(problems) != 1 || got != test.want {
				t.Errorf("got %d problems:\n%.300s\nwant\n%.300s", len(problems), problems.Error(), test.want)
			}
		})
	}
}

func TestParse_PowerShellUTF16(t *testing.T) {
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
