// Package page writes a build as one page of HTML that needs nothing else: no network,
// no server, no other file.
//
// The summary is HTML, so it is visible without JavaScript. Everything else is data: JSON
// and pieces of the log, compressed, in script elements that browsers do not run. The
// page's own scripts unpack a piece when it is viewed, and put values into the page as text
// only. A log of several hundred megabytes stays usable that way.
package page

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

// Build is the data of a page. All fields except Reports may be missing.
type Build struct {
	Title     string          // of a page without a Record
	Record    *runner.Record  // nil for reports that belong to no build
	Reports   *reports.Set    // an empty set for no reports
	Log       io.ReadSeeker   // the log in CodeBuild's format, at its beginning; read twice
	Index     builds.LogIndex // the structure of the log
	Artifacts artifacts.Manifest
	Trend     []Point // the kept builds of the project, the oldest first
	Apart     bool    // the page is not in the build's directory, so nothing there can be linked to
	// Source reads a file of the source, by its path from the root with slashes. It returns
	// nil for one that does not exist. A nil function has no files.
	Source func(name string) []byte
}

// Point is one build in the trend.
type Point struct {
	Number  int           `json:"number"`
	Status  runner.Status `json:"status"`
	Seconds float64       `json:"seconds"` // duration of the build
	Passed  int           `json:"passed"`  // test cases
	Bad     int           `json:"bad"`     // failed or with an error
	Skipped int           `json:"skipped"`
	Lines   *float64      `json:"lines,omitempty"` // covered, in percent; nil for no coverage
}

//go:embed assets
var assets embed.FS

// scripts are joined in this order: a class is defined before its use. main.js starts them.
var scripts = []string{"base.js", "list.js", "log.js", "tests.js", "coverage.js", "main.js"}

// Write writes the page of a build. An error leaves a part of the page behind; the caller
// writes to a temporary file. All texts come from a build, which is not trusted:
//
//   - Texts of the summary are escaped (markup).
//   - Data is base64, which has no character that HTML knows.
//   - The content security policy allows one script, by its hash, and no connections, so
//     even a mistake in a script cannot run code of the build or send data.
func Write(w io.Writer, b Build) error {
	style, script, err := readAssets()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(script)
	h := head{
		Title: b.Title, Style: style,
		Policy: "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; " +
			"script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
		Groups: groups(b.Reports),
	}
	if b.Record != nil {
		h.about(b.Record)
	}
	h.Has = map[string]bool{
		"log": b.Log != nil, "tests": has(b.Reports, reports.Test), "coverage": has(b.Reports, reports.CodeCoverage),
		"artifacts": len(b.Artifacts.Artifacts) > 0, "environment": b.Record != nil, "trend": len(b.Trend) > 1,
	}
	out := bufio.NewWriterSize(w, 64<<10)
	if err := h.write(out); err != nil {
		return err
	}
	data := newPieces(out)
	if err := data.all(b); err != nil {
		return err
	}
	// The script runs before the log, which can be long, is there.
	_, _ = fmt.Fprintf(out, "<script>%s</script>\n", script)
	if b.Log != nil {
		if err := data.log(b.Log, b.Index); err != nil {
			return err
		}
	}
	_, _ = out.WriteString("</body>\n</html>\n")
	return out.Flush()
}

// readAssets returns the CSS and the scripts of the page, joined.
func readAssets() (style, script []byte, err error) {
	if style, err = assets.ReadFile("assets/page.css"); err != nil {
		return nil, nil, err
	}
	for _, name := range scripts {
		text, err := assets.ReadFile("assets/" + name)
		if err != nil {
			return nil, nil, err
		}
		script = append(script, text...)
	}
	return style, script, nil
}

// has reports whether a set has reports of a type.
func has(set *reports.Set, about reports.Type) bool {
	if set == nil {
		return false
	}
	for _, r := range set.Reports {
		if r.Type == about {
			return true
		}
	}
	return false
}

// about fills in the summary of a build for the head.
func (h *head) about(r *runner.Record) {
	h.Project, h.Number, h.Status = diag.Printable(r.Project), r.Number, r.Status
	h.Title = fmt.Sprintf("%s #%d %s", h.Project, h.Number, h.Status)
	whole := r.End.Sub(r.Start)
	// A phase may begin before the build by the clock, if that was set while it ran.
	h.Took = human.Duration(whole)
	percent := func(d time.Duration) string {
		return fmt.Sprintf("%.2f%%", 100*max(0, min(1, float64(d)/float64(max(whole, 1)))))
	}
	for _, p := range r.Phases {
		if p.Status == "" {
			continue // the phase did not run, or is COMPLETED
		}
		took := p.End.Sub(p.Start)
		h.Phases = append(h.Phases, phase{string(p.Type), string(p.Status), human.Duration(took),
			percent(p.Start.Sub(r.Start)), percent(took), diag.Printable(reasons(p.Contexts))})
		// The first failure is the reason; later phases often fail because of it.
		if p.Status != runner.Succeeded && h.Failure == "" {
			h.Failure = strings.TrimSuffix(fmt.Sprintf("%s: %s", p.Type, diag.Printable(reasons(p.Contexts))), ": ")
		}
	}
}

// reasons returns the messages of the contexts of a phase.
func reasons(all []runner.Context) string {
	var parts []string
	for _, c := range all {
		if c.Message != "" {
			parts = append(parts, c.Message)
		}
	}
	return strings.Join(parts, "; ")
}

// groups returns the reports in words, for the summary.
func groups(set *reports.Set) []group {
	if set == nil {
		return nil
	}
	var all []group
	for _, r := range set.Reports {
		g := group{Name: diag.Printable(r.Group), Status: string(r.Status)}
		var parts []string
		if r.Tests != nil {
			parts = append(parts, fmt.Sprintf("%d tests", r.Tests.Total))
			if n := r.Tests.Bad(); n > 0 {
				parts = append(parts, fmt.Sprintf("%d failed", n))
			}
			if r.Truncated {
				parts = append(parts, fmt.Sprintf("%d kept, as in CodeBuild", len(r.Cases)))
			}
		}
		if text := r.Changes.String(); text != "" {
			parts = append(parts, text)
		}
		if r.Sum != nil {
			parts = append(parts, fmt.Sprintf("%.1f%% of %d lines covered", r.Sum.Lines.Percent(), r.Sum.Lines.Total()))
		}
		for _, p := range r.Problems {
			parts = append(parts, p.Error())
		}
		g.Text = diag.Printable(strings.Join(parts, "; "))
		all = append(all, g)
	}
	return all
}

// pieces writes the data for the scripts. A piece is compressed with gzip, which browsers
// can unpack (DecompressionStream), encoded as base64, and written as a script element of
// type text/plain, which browsers do not run.
type pieces struct {
	w      *bufio.Writer
	zip    *gzip.Writer // reused, because each one allocates about a megabyte
	packed bytes.Buffer // reused too
}

func newPieces(w *bufio.Writer) *pieces {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // an error is for invalid levels only
	return &pieces{w: w, zip: z}
}

// all writes all pieces except those of the log. The scripts wait for a piece that is not
// there yet, so the order is that of their use.
func (p *pieces) all(b Build) error {
	if b.Log != nil {
		if err := p.logIndex(b.Log, b.Index); err != nil {
			return err
		}
	}
	if b.Reports != nil {
		if err := p.write("tests", testData(b.Reports)); err != nil {
			return err
		}
		if err := p.coverage(b); err != nil {
			return err
		}
	}
	return p.write("build", buildData(b))
}

// write writes a value as JSON, as the piece with an id.
func (p *pieces) write(id string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return p.bytes(id, text)
}

// bytes writes the piece with an id. The id is not escaped: it is one of the package.
func (p *pieces) bytes(id string, text []byte) error {
	p.packed.Reset()
	p.zip.Reset(&p.packed)
	if _, err := p.zip.Write(text); err != nil {
		return err
	}
	if err := p.zip.Close(); err != nil {
		return err
	}
	fmt.Fprintf(p.w, "<script type=\"text/plain\" id=\"data-%s\">", id)
	e := base64.NewEncoder(base64.StdEncoding, p.w)
	if _, err := e.Write(p.packed.Bytes()); err != nil {
		return err
	}
	if err := e.Close(); err != nil {
		return err
	}
	_, err := p.w.WriteString("</script>\n")
	return err
}
