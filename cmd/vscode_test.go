package cmd_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/buildlocal/buildlocal/cmd/build"
	"github.com/buildlocal/buildlocal/cmd/cli"
)

// property is an argument in the schema of launch.json.
type property struct {
	Type        any    `json:"type"`
	Default     any    `json:"default,omitempty"`
	Description string `json:"description"`
}

// TestVSCode_Manifest compares the schema of launch.json in the extension of VS Code with the flags of
// run.
func TestVSCode_Manifest(t *testing.T) {
	t.Parallel()
	properties := map[string]property{
		"program":     {"string", "buildspec.yml", "The buildspec, relative to cwd."},
		"cwd":         {"string", "${workspaceFolder}", "The directory of the source, to which all paths are relative."},
		"stopOnEntry": {"boolean", nil, "Stop before the first command."},
	}
	refused := build.NotLaunched()
	build.NewRun(&cli.App{}, nil).Flags().VisitAll(func(f *pflag.Flag) {
		if _, is := refused[f.Name]; is || f.Name == "help" {
			return
		}
		name, usage := pflag.UnquoteUsage(f)
		p := property{Type: "string", Description: strings.ToUpper(usage[:1]) + usage[1:] + "."}
		switch f.Value.Type() {
		case "bool":
			p.Type = "boolean"
		case "int":
			p.Type = "number"
		case "stringArray":
			p.Type = []string{"array", "string"}
			if strings.HasPrefix(name, "NAME=") {
				p.Type = []string{"array", "object", "string"}
			}
		}
		properties[f.Name] = p
	})
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("            ", "  ")
	if err := encoder.Encode(properties); err != nil {
		t.Fatal(err)
	}
	const manifest = "../editors/vscode/package.json"
	old, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	part := regexp.MustCompile(`(?s)("launch": \{\n\s*"properties": )\{.*?\}(\n          \},\n          "attach")`)
	want := part.ReplaceAllStringFunc(string(old), func(found string) string {
		around := part.FindStringSubmatch(found)
		return around[1] + strings.TrimSpace(text.String()) + around[2]
	})
	if *update {
		if err := os.WriteFile(manifest, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(want, string(old)); diff != "" {
		t.Errorf("go test ./cmd -run VSCode -update writes the flags into %s:\n%s", manifest, diff)
	}
	if !json.Valid([]byte(want)) || !strings.Contains(want, `"pause-for"`) {
		t.Error("the manifest is damaged")
	}
}
