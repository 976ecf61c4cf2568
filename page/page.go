// Package page writes a build as one page of HTML that needs nothing else: no network,
// no server, no other file.
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
	Title     string // of a page without a Record
	Record    *runner.Record
	Reports   *reports.Set
	Log       io.ReadSeeker   // the service's log, at its beginning; may be nil
	Index     builds.LogIndex // the structure of the log
	Artifacts artifacts.Manifest
	Trend     []Point // the kept builds of the project, the oldest first
	Apart     bool    // the page is not in the build's directory, so nothing there can be linked to
	// Source reads a file of the source; it returns nothing for one that is not at hand.
	Source func(name string) []byte
}

// Point is one build in the trend.
type Point struct {
	Number  int           `json:"number"`
	Status  runner.Status `json:"status"`
	Seconds float64       `json:"seconds"`
	Passed  int           `json:"passed"`
	Bad     int           `json:"bad"`
	Skipped int           `json:"skipped"`
	Lines   *float64      `json:"lines,omitempty"` // covered, in percent; nil for no coverage
}

//go:embed assets
var assets embed.FS

// scripts are put together in this order.
var scripts = []string{"base.js", "list.js", "log.js", "tests.js", "coverage.js", "main.js"}

// Write writes the page of a build.
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
	h.Took = human.Duration(whole)
	percent := func(d time.Duration) string {
		return fmt.Sprintf("%.2f%%", 100*max(0, min(1, float64(d)/float64(max(whole, 1)))))
	}
	for _, p := range r.Phases {
		if p.Status == "" {
			continue
		}
		took := p.End.Sub(p.Start)
		h.Phases = append(h.Phases, phase{string(p.Type), string(p.Status), human.Duration(took),
			percent(p.Start.Sub(r.Start)), percent(took), diag.Printable(reasons(p.Contexts))})
		if p.Status != runner.Succeeded && h.Refused == "" {
			h.Refused = strings.TrimSuffix(fmt.Sprintf("%s: %s", p.Type, diag.Printable(reasons(p.Contexts))), ": ")
		}
	}
}

func reasons(all []runner.Context) string {
	var parts []string
	for _, c := range all {
		if c.Message != "" {
			parts = append(parts, c.Message)
		}
	}
	return strings.Join(parts, "; ")
}

// groups are the reports in words.
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
				parts = append(parts, fmt.Sprintf("%d kept, as in the service", len(r.Cases)))
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

// pieces writes what the scripts read, each piece compressed, as a text that no browser
// runs, and that holds no character HTML knows.
type pieces struct {
	w      *bufio.Writer
	zip    *gzip.Writer // one for all: each takes a megabyte
	packed bytes.Buffer
}

func newPieces(w *bufio.Writer) *pieces {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is one that there is
	return &pieces{w: w, zip: z}
}

// all writes all pieces but those of the log.
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

// write writes a value as a piece of data.
func (p *pieces) write(id string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return p.bytes(id, text)
}

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
