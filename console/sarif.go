package console

import (
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// home is where the program and the description of its checks are found.
const home = "https://github.com/buildlocal/buildlocal"

// writeSARIF writes a report in the Static Analysis Results Interchange Format,
// version 2.1.0.
func writeSARIF(w io.Writer, r Report) error {
	run := sarif.NewRunWithInformationURI("buildlocal", home)
	run.Tool.Driver.WithVersion(r.Tool)
	run.WithColumnKind("unicodeCodePoints")
	for _, check := range r.Checks {
		run.AddRule(check.Name).
			WithDescription(check.Summary).
			WithHelpURI(home + "/blob/main/docs/checks.md#" + check.Name).
			WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(sarifLevel(check.Severity)))
	}
	run.WithResults([]*sarif.Result{}) // none at all is a result too
	for _, f := range r.Files {
		for _, p := range f.Problems {
			result := sarifResult(f.File, p)
			if i := run.GetRuleIndex(p.Name); i >= 0 {
				result.WithRuleIndex(i)
			}
			run.AddResult(result)
		}
	}
	report := sarif.NewReport()
	report.AddRun(run)
	if err := report.PrettyWrite(w); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func sarifLevel(s diag.Severity) string {
	return map[diag.Severity]string{diag.Error: "error", diag.Warning: "warning", diag.Lint: "note"}[s]
}

func sarifResult(file string, p diag.Problem) *sarif.Result {
	artifact := sarif.NewArtifactLocation().WithURI(uri(first(p.File, file)))
	place := sarif.NewPhysicalLocation().WithArtifactLocation(artifact)
	if p.Line > 0 {
		region := sarif.NewRegion().WithStartLine(p.Line)
		if p.Column > 0 {
			region.WithStartColumn(p.Column).WithEndColumn(p.Column + max(1, p.Width))
		}
		place.WithRegion(region)
	}
	result := sarif.NewRuleResult(first(p.Name, "buildspec")).
		WithLevel(sarifLevel(p.Severity)).
		WithMessage(sarif.NewTextMessage(p.Message)).
		AddLocation(sarif.NewLocation().WithPhysicalLocation(place))
	if p.Fix != nil {
		result.AddFixe(sarifFix(artifact, p.Fix))
	}
	return result
}

func sarifFix(artifact *sarif.ArtifactLocation, fix *diag.Fix) *sarif.Fix {
	change := sarif.NewArtifactChange().WithArtifactLocation(artifact)
	for _, e := range fix.Edits {
		region := sarif.NewRegion().WithStartLine(e.Line).WithStartColumn(e.Column).WithEndColumn(e.Column + len([]rune(e.Old)))
		change.AddReplacement(sarif.NewReplacement().WithDeletedRegion(region).WithInsertedContent(sarif.NewArtifactContent().WithText(e.Text)))
	}
	return sarif.NewFix().WithDescription(sarif.NewTextMessage(fix.Title)).AddArtifactChange(change)
}

// uri is a path as SARIF wants it: relative as it is, absolute with file://.
func uri(path string) string {
	slashed := filepath.ToSlash(path)
	if filepath.IsAbs(path) {
		return (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(slashed, "/")}).String()
	}
	return (&url.URL{Path: slashed}).String()
}
