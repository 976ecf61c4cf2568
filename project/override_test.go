package project

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseOverride_AWSCLIFormats(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]Variable{
		"name=A,value=b": {{Name: "A", Value: "b",
			Type: Plaintext}},
		"name=A,value=,type=PLAINTEXT": {{Name: "A", Type: Plaintext}},
		"type=PARAMETER_STORE,name=A,value=/a/b": {{Name: "A", Value: "/a/b",
			Type: ParameterStore}},
		"name=A,value=x:y::z=1,2,type=SECRETS_MANAGER": {{Name: "A", Value: "x:y::z=1,2",
			Type: SecretsManager}},
		`name=A,value="x,type=y",type=PLAINTEXT`: {{Name: "A", Value: "x,type=y",
			Type: Plaintext}},
		`[{"name":"A","value":"1"},{"name":"B","value":"2","type":"PARAMETER_STORE"}]`: {{Name: "A", Value: "1",
			Type: Plaintext}, {Name: "B", Value: "2", Type: ParameterStore}},
		` {"name":"A","value":"1"}`: {{Name: "A", Value: "1",
			Type: Plaintext}},
	} {
		got, problems := ParseOverride("flag", text)
		if diff := cmp.Diff(want, got); diff != "" || len(problems) > 0 {
			t.Errorf("%s: %v %s", text, problems, diff)
		}
	}
	for text, want := range map[string]string{
		"":                          "has no name or no value",
		"A=b":                       "use name=NAME,value=VALUE,type=TYPE, or JSON",
		"name=A":                    "has no name or no value",
		"name=A,value=b,name=C":     "use name=NAME",
		"name=1,value=b":            "invalid variable name",
		"name=A,value=b,type=OTHER": `unknown type "OTHER"`,
		`[{"name":"A"`:              "error",
		`{"name":"A","vlaue":"x"}`:  "vlaue",
		`[1]`:                       "a mapping",
	} {
		if _, problems := ParseOverride("flag", text); len(problems) == 0 || !strings.Contains(problems.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, problems, want)
		}
	}
}

func FuzzParseOverride(f *testing.F) {
	for _, text := range []string{"name=A,value=b,type=PLAINTEXT", `{"name":"A","value":"1"}`, `name=A,value="`, "["} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, problems := ParseOverride("flag", text)
		for _, v := range all {
			if !problems.Failed() && !ValidName(v.Name) {
				t.Errorf("%q: %+v", text, v)
			}
		}
	})
}
