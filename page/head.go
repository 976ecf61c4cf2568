package page

import (
	"bufio"
	"fmt"
	"html"

	"github.com/buildlocal/buildlocal/runner"
)

// head is the part that is visible before any script runs. It is written by plain code: package
// html/template finds methods by name, so the linker keeps all methods of all packages of a
// program that imports it, which makes it half as large again.
type head struct {
	Title   string
	Policy  string          // the content security policy
	Style   []byte          // the CSS of the page, trusted
	Status  runner.Status   // "" without a Record
	Project string          // these three are not set without a Record
	Number  int             // of the build
	Phases  []phase         // in their order, without those that did not run
	Groups  []group         // the reports
	Took    string          // the duration of the build, for people
	Failure string          // phase and reason of the first failure, in one line
	Has     map[string]bool // the sections that have data, by id
}

// phase is one bar of the time line. Positions are percentages of the build's duration.
type phase struct {
	Type, Status, Took string // as CodeBuild spells them; the duration for people
	Left, Width        string // of the bar, such as 12.5%
	Reason             string // of a failure
}

// group is one report, in words.
type group struct {
	Name, Status, Text string
}

// sections are the parts of the page after the summary, which scripts fill in. Each has a
// file in the assets with its static elements. They are hidden until a script shows one.
var sections = []struct{ id, title string }{
	{"tests", "Tests"}, {"coverage", "Coverage"}, {"log", "Log"},
	{"artifacts", "Artifacts"}, {"environment", "Environment"}, {"trend", "Trend"},
}

// markup writes HTML. Errors are ignored here: a bufio.Writer keeps the first one, and
// returns it from Flush.
type markup struct{ w *bufio.Writer }

// put writes format with an escaped text for each %s. The result is safe in an
// element and in an attribute between double quotes.
func (m markup) put(format string, text ...string) {
	escaped := make([]any, len(text))
	for i, s := range text {
		escaped[i] = html.EscapeString(s)
	}
	_, _ = fmt.Fprintf(m.w, format, escaped...)
}

// write writes the page up to the end of its sections. The body is not closed: the data and
// the scripts follow. The icon is empty, so that browsers ask no server for one.
func (h *head) write(w *bufio.Writer) error {
	m := markup{w}
	m.put(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="%s">
<meta name="color-scheme" content="light dark">
<title>%s</title>
<link rel="icon" href="data:,">
`, h.Policy, h.Title)
	_, _ = fmt.Fprintf(w, "<style>%s</style>\n", h.Style)
	m.put("</head>\n<body>\n<a class=\"skip\" href=\"#summary\">Skip to the summary</a>\n<header>\n")
	h.heading(m)
	h.navigation(m)
	m.put("</header>\n<main>\n")
	h.summary(m)
	for _, s := range sections {
		if !h.Has[s.id] {
			continue
		}
		body, err := assets.ReadFile("assets/" + s.id + ".html")
		if err != nil {
			return err
		}
		m.put("<section id=\"%s\" tabindex=\"-1\" aria-labelledby=\"%s-title\" hidden>\n", s.id, s.id)
		m.put("<h2 id=\"%s-title\">%s</h2>\n", s.id, s.title)
		_, _ = w.Write(body)
		m.put("</section>\n")
	}
	m.put("</main>\n")
	return nil
}

// heading writes the verdict, so the result is the first text of the page.
func (h *head) heading(m markup) {
	if h.Status == "" {
		m.put("<h1>%s</h1>\n", h.Title)
	} else {
		m.put(`<h1><span class="verdict %s">%s</span> %s `, string(h.Status), string(h.Status), h.Project)
		m.put("<span class=\"number\">#%s</span></h1>\n", fmt.Sprint(h.Number))
	}
	if h.Took == "" {
		return
	}
	m.put(`<p class="took">in %s`, h.Took)
	if h.Failure != "" {
		m.put("; %s", h.Failure)
	}
	m.put("</p>\n")
}

// navigation writes links to the sections that have data.
func (h *head) navigation(m markup) {
	m.put("<nav aria-label=\"Parts of the page\">\n<a href=\"#summary\">Summary</a>\n")
	for _, s := range sections {
		if h.Has[s.id] {
			m.put("<a href=\"#%s\">%s</a>\n", s.id, s.title)
		}
	}
	m.put("</nav>\n")
}

// summary writes the phases and the reports. Scripts add the failed tests.
func (h *head) summary(m markup) {
	m.put("<section id=\"summary\" tabindex=\"-1\" aria-labelledby=\"summary-title\">\n")
	m.put("<h2 id=\"summary-title\">Summary</h2>\n")
	h.timeLine(m)
	if len(h.Groups) > 0 {
		m.put("<h3>Reports</h3>\n<ul class=\"groups\">")
		for _, g := range h.Groups {
			m.put(`<li><span class="status %s">%s</span> <strong>%s</strong> %s</li>`+"\n", g.Status, g.Status, g.Name, g.Text)
		}
		m.put("</ul>\n")
	}
	m.put("<div id=\"failed\"></div>\n")
	m.put("<noscript><p>The other parts of this page need JavaScript.</p></noscript>\n</section>\n")
}

// timeLine writes the phases as a table with a bar in each row. Screen readers get the same
// facts from its cells.
func (h *head) timeLine(m markup) {
	if len(h.Phases) == 0 {
		return
	}
	m.put("<h3>Phases</h3>\n<table class=\"phases\"><thead><tr>")
	m.put(`<th scope="col">Phase</th><th scope="col">Status</th>`)
	m.put(`<th scope="col">Took</th><th scope="col" class="line">When</th>`)
	m.put("</tr></thead>\n<tbody>")
	for _, p := range h.Phases {
		m.put(`<tr><th scope="row">%s</th><td><span class="status %s">%s</span>`, p.Type, p.Status, p.Status)
		if p.Reason != "" {
			m.put(` <span class="reason">%s</span>`, p.Reason)
		}
		m.put(`</td><td class="figure">%s</td><td class="line"><span class="track">`, p.Took)
		m.put(`<span class="bar %s" style="left:%s;width:%s"></span></span></td></tr>`+"\n", p.Status, p.Left, p.Width)
	}
	m.put("</tbody></table>\n")
}
