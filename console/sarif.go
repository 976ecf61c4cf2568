package console

import (
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// home is where the program and the description of its checks are found.
const home = "https://github.com/buildlocal/buildlocal"

const sarifSchema = "https://raw.githubusercontent.com/oasis-tcs/sarif-spec/main/" +
	"sarif-2.1/schema/sarif-schema-2.1.0.json"

// writeSARIF writes a report in the Static Analysis Results Interchange Format,
// version 2.1.0.
func writeSARIF(w io.Writer, r Report) error {
	run := sarifRun{ColumnKind: "unicodeCodePoints", Results: []sarifResult{}} // "no results" is an empty list
	run.Tool.Driver = sarifDriver{Name: "buildlocal", Version: r.Tool, InformationURI: home}
	index := map[string]int{}
	for i, check := range r.Checks {
		index[check.Name] = i
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
			ID: check.Name, ShortDescription: sarifText{check.Summary},
			HelpURI:              home + "/blob/main/docs/checks.md#" + check.Name,
			DefaultConfiguration: sarifConfiguration{sarifLevel(check.Severity)},
		})
	}
	for _, f := range r.Files {
		for _, p := range f.Problems {
			result := newSARIFResult(f.File, p)
			if i, known := index[p.Name]; known {
				result.RuleIndex = &i
			}
			run.Results = append(run.Results, result)
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(sarifLog{Schema: sarifSchema, Version: "2.1.0", Runs: []sarifRun{run}})
}

func sarifLevel(s diag.Severity) string {
	return map[diag.Severity]string{diag.Error: "error", diag.Warning: "warning", diag.Lint: "note"}[s]
}

func newSARIFResult(file string, p diag.Problem) sarifResult {
	artifact := sarifArtifact{uri(first(p.File, file))}
	place := sarifPlace{ArtifactLocation: artifact}
	if p.Line > 0 {
		place.Region = &sarifRegion{StartLine: p.Line}
		if p.Column > 0 {
			place.Region.StartColumn, place.Region.EndColumn = p.Column, p.Column+max(1, p.Width)
		}
	}
	result := sarifResult{
		RuleID: first(p.Name, "buildspec"), Level: sarifLevel(p.Severity), Message: sarifText{p.Text()},
		Locations: []sarifLocation{{place}},
	}
	if p.Fix != nil {
		result.Fixes = []sarifFix{newSARIFFix(artifact, p.Fix)}
	}
	return result
}

func newSARIFFix(artifact sarifArtifact, fix *diag.Fix) sarifFix {
	change := sarifChange{ArtifactLocation: artifact}
	for _, e := range fix.Edits {
		change.Replacements = append(change.Replacements, sarifReplacement{
			DeletedRegion:   sarifRegion{StartLine: e.Line, StartColumn: e.Column, EndColumn: e.Column + len([]rune(e.Old))},
			InsertedContent: sarifText{e.Text},
		})
	}
	return sarifFix{Description: sarifText{fix.Title}, ArtifactChanges: []sarifChange{change}}
}

// uri is a path as SARIF wants it: relative as it is, absolute with file://.
func uri(path string) string {
	slashed := filepath.ToSlash(path)
	if filepath.IsAbs(path) {
		return (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(slashed, "/")}).String()
	}
	return (&url.URL{Path: slashed}).String()
}
