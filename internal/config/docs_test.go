package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestSettings_AreInTheDocumentation compares the table of docs/security.md with the
// one that the program goes by.
func TestSettings_AreInTheDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	words := map[Reach]string{Build: "yes", Reads: "below the source", Writes: "below the source",
		Variable: "with a value", Around: "if git tracks the file", User: "trusted only"}
	var rows []string
	for _, s := range Settings() {
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |", s.Name, words[s.Reach], strings.ReplaceAll(s.Effect, "VALUE",
			"…")))
	}
	if want := strings.Join(rows, "\n"); !strings.Contains(string(text), want) {
		t.Errorf("docs/security.md does not have this table:\n%s", want)
	}
}
