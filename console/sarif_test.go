package console_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/diag"
)

// TestWriteProblems_SARIFIsValid parses a report with a library for the whole format, and
// compares the result.
func TestWriteProblems_SARIFIsValid(t *testing.T) {
	fix := &diag.Fix{Title: "write b", Edits: []diag.Edit{{Line: 3, Column: 5, Old: "ä", Text: "b"}}}
	problems := diag.List{
		{
			Name:     "typo",
			Severity: diag.Warning,
			File:     "a b.yml",
			Line:     3,
			Column:   5,
			Width:    2,
			Message:  "not ä <b>",
			Fix:      fix,
		},
		{Name: "unlisted", Severity: diag.Lint, Message: "of the whole file"},
	}
	r := console.Report{
		Tool: "1.2.3", Checks: []diag.Check{{Name: "other", Severity: diag.Error}, {Name: "typo", Severity: diag.Warning,
			Summary: "A typo."}},
		Files: []console.Checked{{File: "/src/a.yml", Problems: problems}},
	}
	var b bytes.Buffer
	if err := console.WriteProblems(&b, "sarif", r); err != nil {
		t.Fatal(err)
	}
	report, err := sarif.FromBytes(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	run := report.Runs[0]
	rule, whole := run.Tool.Driver.Rules[1], run.Results[1]
	first := run.Results[0]
	place := first.Locations[0].PhysicalLocation
	replacement := first.Fixes[0].ArtifactChanges[0].Replacements[0]
	got := []any{
		*run.Tool.Driver.Version, *rule.ID, *rule.ShortDescription.Text, rule.DefaultConfiguration.Level,
		*first.RuleID, first.RuleIndex, first.Level, *first.Message.Text,
		*place.ArtifactLocation.URI, *place.Region.StartLine, *place.Region.StartColumn, *place.Region.EndColumn,
		*first.Fixes[0].Description.Text, *replacement.DeletedRegion.EndColumn, *replacement.InsertedContent.Text,
		whole.Level, *whole.Locations[0].PhysicalLocation.ArtifactLocation.URI,
		whole.Locations[0].PhysicalLocation.Region == nil,
	}
	want := []any{
		"1.2.3", "typo", "A typo.", "warning",
		"typo", 1, "warning", "not ä <b>",
		"a%20b.yml", 3, 5, 7,
		"write b", 6, "b",
		"note", "file:///src/a.yml", true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the report differs (-want +got):\n%s", diff)
	}
}
