package buildspec_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
)

// unsaid are the errors that no schema can express: a file that is no YAML or too
// large, an expression of on-failure, a NUL byte.
var unsaid = map[string]bool{buildspec.YAMLSyntax: true, buildspec.TooLarge: true, buildspec.EmptyBuildspec: true}

// TestSchema_AgreesWithParse compares two judges of every buildspec at
// hand: the reader, and a validator that knows nothing but the schema.
func TestSchema_AgreesWithParse(t *testing.T) {
	t.Parallel()
	files := slices.Concat(glob(t, "../testdata/buildspec/*/*.yml"), glob(t, "../examples/*/buildspec.yml"), corpusFiles())
	lenient, strict := compiled(t, false), compiled(t, true)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		spec, problems := buildspec.Parse(filepath.Base(file), text)
		value, ok := asJSON(text)
		if !ok || slices.ContainsFunc(problems, func(p diag.Problem) bool { return unsaid[p.Name] }) ||
			bytes.ContainsAny(text, "\x00") || beyondSchemas[filepath.Base(file)] {
			continue
		}
		err = lenient.Validate(value)
		if (err == nil) == problems.Failed() {
			t.Errorf("%s: the reader says\n%v\nand the schema\n%v", file, problems, err)
		}
		err = strict.Validate(value)
		if want := !problems.Failed() && len(spec.Unknown) == 0; (err == nil) != want {
			t.Errorf("%s: with strict, the reader says\n%v\nand the schema\n%v", file, problems, err)
		}
	}
}

// beyondSchemas are buildspecs whose one error no schema can express.
var beyondSchemas = map[string]bool{"on-failure-bad-expression.yml": true, "command-nul.yml": true,
	"env-variable-nul.yml": true, "yaml-key-is-a-list.yml": true, "yaml-key-is-a-mapping.yml": true,
	"yaml-merge-of-a-list.yml": true, "structure.yml": true}

func compiled(t *testing.T, strict bool) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(buildspec.Schema(strict)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("buildspec.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("buildspec.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no files: %v", pattern, err)
	}
	return files
}

// asJSON returns the input of an editor's validator: the first document, of keys that
// stand twice the last.
func asJSON(text []byte) (any, bool) {
	var doc yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&doc); err != nil || len(doc.Content) == 0 {
		return nil, false
	}
	return jsonOf(doc.Content[0], 0), true
}

func jsonOf(node *yaml.Node, depth int) any {
	switch {
	case depth > 50:
		return nil // aliases of themselves
	case node.Kind == yaml.AliasNode:
		return jsonOf(node.Alias, depth+1)
	case node.Kind == yaml.SequenceNode:
		all := []any{}
		for _, item := range node.Content {
			all = append(all, jsonOf(item, depth+1))
		}
		return all
	case node.Kind == yaml.MappingNode:
		return objectOf(node, depth)
	}
	var value any
	switch node.ShortTag() {
	case "!!int", "!!float", "!!bool", "!!null":
		if err := node.Decode(&value); err == nil {
			return value
		}
	}
	return node.Value
}

func objectOf(node *yaml.Node, depth int) map[string]any {
	all := map[string]any{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		value := jsonOf(node.Content[i+1], depth+1)
		if merged, ok := value.(map[string]any); ok && node.Content[i].ShortTag() == "!!merge" {
			for k, v := range merged {
				if _, there := all[k]; !there {
					all[k] = v
				}
			}
			continue
		}
		all[node.Content[i].Value] = value
	}
	return all
}
