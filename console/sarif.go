package console

import (
	"cmp"
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// home is the website of the program, with the description of its checks.
const home = "https://github.com/buildlocal/buildlocal"

// sarifSchema is the address of the schema. Viewers recognize the version by it; nothing is
// fetched here.
const sarifSchema = "https://raw.githubusercontent.com/oasis-tcs/sarif-spec/main/" +
	"sarif-2.1/schema/sarif-schema-2.1.0.json"

// writeSARIF writes a report in the Static Analysis Results Interchange Format, version 2.1.0
// (OASIS). GitHub code scanning and editors read it. All checks are listed as rules, also
// those without a problem, so that viewers can describe them. A problem whose
// check is not listed has no rule.
func writeSARIF(w io.Writer, r Report) error {
	// Columns of problems are in characters, not in UTF-16 code units as in many editors.
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

// sarifLevel returns the level of a severity.
func sarifLevel(s diag.Severity) string {
	return map[diag.Severity]string{diag.Error: "error", diag.Warning: "warning", diag.Lint: "note"}[s]
}

// newSARIFResult converts a problem. A position without a column is the whole line.
func newSARIFResult(file string, p diag.Problem) sarifResult {
	artifact := sarifArtifact{uri(cmp.Or(p.File, file))}
	place := sarifPlace{ArtifactLocation: artifact}
	if p.Line > 0 {
		place.Region = &sarifRegion{StartLine: p.Line}
		if p.Column > 0 {
			place.Region.StartColumn, place.Region.EndColumn = p.Column, p.Column+max(1, p.Width)
		}
	}
	result := sarifResult{
		RuleID: cmp.Or(p.Name, "buildspec"), Level: sarifLevel(p.Severity), Message: sarifText{p.Text()},
		Locations: []sarifLocation{{place}},
	}
	if p.Fix != nil {
		result.Fixes = []sarifFix{newSARIFFix(artifact, p.Fix)}
	}
	return result
}

// newSARIFFix converts a fix. An edit deletes a region, which may be empty, and inserts a
// text. Regions do not cross lines.
func newSARIFFix(artifact sarifArtifact, fix *diag.Fix) sarifFix {
	change := sarifChange{ArtifactLocation: artifact}
	for _, e := range fix.Edits {
		change.Replacements = append(change.Replacements, sarifReplacement{
			DeletedRegion: sarifRegion{
				StartLine:   e.Line,
				StartColumn: e.Column,
				EndColumn:   e.Column + len([]rune(e.Old)),
			},
			InsertedContent: sarifText{e.Text},
		})
	}
	return sarifFix{Description: sarifText{fix.Title}, ArtifactChanges: []sarifChange{change}}
}

// uri returns a path as a URI reference: a relative one stays relative, and viewers resolve
// it against the root of the repository; an absolute one gets the scheme file.
func uri(path string) string {
	slashed := filepath.ToSlash(path)
	if filepath.IsAbs(path) {
		return (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(slashed, "/")}).String()
	}
	return (&url.URL{Path: slashed}).String()
}
