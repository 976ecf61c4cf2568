package lsp

import (
	"context"
	"encoding/json"
	"unicode/utf16"

	"github.com/sourcegraph/jsonrpc2"
	protocol "github.com/tliron/glsp/protocol_3_16"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// severities maps severities to those of the protocol. Lints are less prominent than warnings.
var severities = map[diag.Severity]protocol.DiagnosticSeverity{
	diag.Error:   protocol.DiagnosticSeverityError,
	diag.Warning: protocol.DiagnosticSeverityWarning,
	diag.Lint:    protocol.DiagnosticSeverityInformation,
}

// diagnostics converts problems for the protocol.
func (d *document) diagnostics(problems diag.List) []protocol.Diagnostic {
	all := []protocol.Diagnostic{}
	for _, p := range problems {
		all = append(all, d.diagnostic(p))
	}
	return all
}

// diagnostic converts one problem. Editors show one text, so the hint follows the message.
func (d *document) diagnostic(p diag.Problem) protocol.Diagnostic {
	out := protocol.Diagnostic{
		Range: d.span(p.Line, p.Column, max(1, p.Width)), Severity: pointer(severities[p.Severity]),
		Source: pointer("buildlocal"), Message: p.Text(),
	}
	if p.Name != "" {
		// The code is the name by which a comment can ignore the check.
		out.Code = &protocol.IntegerOrString{Value: p.Name}
	}
	return out
}

// span returns the range of some characters in a line. A problem without a position is shown in the
// first line.
func (d *document) span(line, column, width int) protocol.Range {
	line, column = max(1, line), max(1, column)
	return protocol.Range{Start: d.position(line, column), End: d.position(line, column+width)}
}

// position converts a position to that of the protocol: zero-based, with columns in UTF-16 units.
func (d *document) position(line, column int) protocol.Position {
	p := protocol.Position{Line: protocol.UInteger(line - 1)}
	runes := []rune(d.line(line))
	p.Character = protocol.UInteger(len(utf16.Encode(runes[:min(column-1, len(runes))])))
	return p
}

// column is the inverse of position for the column.
func (d *document) column(p protocol.Position) int {
	// Columns beyond the end of a line are its end (specified by the protocol).
	units := utf16.Encode([]rune(d.line(int(p.Line) + 1)))
	return len(utf16.Decode(units[:min(int(p.Character), len(units))])) + 1
}

// line returns the line with a number, or "" if there is no such line.
func (d *document) line(n int) string {
	if n < 1 || n > len(d.lines) {
		return ""
	}
	return d.lines[n-1]
}

// codeAction returns the fixes of the problems in a range.
func (s *server) codeAction(_ context.Context, _ *jsonrpc2.Conn, params json.RawMessage) (any, error) {
	p, err := read[protocol.CodeActionParams](params)
	doc, open := s.documents[p.TextDocument.URI]
	if err != nil || !open {
		return []protocol.CodeAction{}, err
	}
	actions := []protocol.CodeAction{}
	for _, problem := range doc.problems {
		line := protocol.UInteger(max(1, problem.Line) - 1)
		// The document may have changed since the check.
		if problem.Fix == nil || !doc.fits(problem.Fix) || line < p.Range.Start.Line || line > p.Range.End.Line {
			continue
		}
		actions = append(actions, protocol.CodeAction{
			// Preferred fixes can be applied with a key, so only safe ones are.
			Title: problem.Fix.Title, Kind: pointer(protocol.CodeActionKindQuickFix), IsPreferred: &problem.Fix.Safe,
			Diagnostics: []protocol.Diagnostic{doc.diagnostic(problem)},
			Edit: &protocol.WorkspaceEdit{
				Changes: map[protocol.DocumentUri][]protocol.TextEdit{doc.uri: doc.edits(problem.Fix)},
			},
		})
	}
	return actions, nil
}

// fits reports whether the document still has the text that a fix replaces.
func (d *document) fits(fix *diag.Fix) bool {
	for _, e := range fix.Edits {
		runes := []rune(d.line(e.Line))
		end := e.Column - 1 + len([]rune(e.Old))
		if e.Column < 1 || end > len(runes) || string(runes[e.Column-1:end]) != e.Old {
			return false
		}
	}
	return true
}

// edits converts the edits of a fix for the protocol.
func (d *document) edits(fix *diag.Fix) []protocol.TextEdit {
	var all []protocol.TextEdit
	for _, e := range fix.Edits {
		all = append(all, protocol.TextEdit{Range: d.span(e.Line, e.Column, len([]rune(e.Old))), NewText: e.Text})
	}
	return all
}
