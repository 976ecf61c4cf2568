package page

import (
	"bufio"
	"fmt"
	"html"

	"github.com/buildlocal/buildlocal/reports"
)

// markup writes HTML by plain code: package html/template finds methods by name, so the linker
// keeps all methods of all packages of a program that imports it, which makes it half as large
// again. Errors are ignored here: a bufio.Writer keeps the first one, and returns it from Flush.
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

// begin writes the head of a page, and the beginning of its body. The icon is empty, so that
// browsers ask no server for one.
func (m markup) begin(title string, style, script []byte) {
	m.put(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="%s">
<meta name="color-scheme" content="light dark">
<title>%s</title>
<link rel="icon" href="data:,">
`, policy(style, script), title)
	_, _ = fmt.Fprintf(m.w, "<style>%s</style>\n</head>\n", style)
	m.put("<body data-view=\"overview\">\n<a class=\"skip\" href=\"#main\">Skip to content</a>\n")
}

// end writes the end of a page. The dialog is filled in by the scripts.
func (m markup) end() { m.put("</body>\n</html>\n") }

// script writes the script of a page, after the data that it needs at once.
func (m markup) script(text []byte) {
	m.put("<dialog id=\"keys\" aria-labelledby=\"keys-title\"></dialog>\n")
	_, _ = fmt.Fprintf(m.w, "<script>%s</script>\n", text)
}

// bandBegins writes the first line of the header: where the page belongs, and its controls. The
// index is the address of the index of all builds, or "".
func (m markup) bandBegins(class, index, crumbs string) {
	m.put("<header class=\"band %s\">\n<div class=\"wrap\">\n<div class=\"top\">\n", class)
	if index == "" {
		m.put("<p class=\"crumbs clip\">%s</p>\n", crumbs)
	} else {
		m.put("<p class=\"crumbs clip\"><a href=\"%s\" id=\"all\">%s</a></p>\n", index, crumbs)
	}
	m.put(`<div class="tools"><button class="quiet" type="button" id="theme" aria-label="Color scheme: system">` +
		`</button><button class="quiet" type="button" id="help" aria-label="Keyboard shortcuts" ` +
		`aria-keyshortcuts="?"><kbd>?</kbd></button></div>` + "\n</div>\n")
}

// glyphs are the shapes in the disk beside the title.
var glyphs = map[string]string{
	"failed": "M9 9l10 10M19 9L9 19", "succeeded": "M8 14.5l4.2 4L20 10", "stopped": "M14 8v7M14 19.5v.1",
}

// title writes the title of a page, whose end may be the name of a command or phase.
func (m markup) title(class, text, place string) {
	m.put(`<div class="title"><svg class="glyph" viewBox="0 0 28 28" aria-hidden="true">`+
		`<circle cx="14" cy="14" r="13"/><path d="%s"/></svg><h1>%s`, glyphs[class], text)
	if place != "" {
		m.put(" <code>%s</code>", place)
	}
	m.put("</h1></div>\n")
}

// view is one part of the page, which scripts fill in when it is first shown.
type view struct {
	id, title string
	count     string // beside the title; may be empty
	bad       bool   // the count is of failures
}

// viewsOf returns the views of a page, in their order. A build has all that can be of
// interest: an empty one says how it would get contents.
func viewsOf(b Build) []view {
	tests, bad, _ := testTotals(b.Reports)
	v := view{id: "tests", title: "Tests"}
	switch {
	case bad > 0:
		v.count, v.bad = grouped(bad)+" failed", true
	case tests > 0:
		v.count = grouped(tests)
	}
	var views []view
	if b.Record != nil {
		views = append(views, view{id: "overview", title: "Overview"})
		if b.Log != nil {
			views = append(views, view{id: "log", title: "Log"})
		}
	}
	if b.Record != nil || has(b.Reports, reports.Test) {
		views = append(views, v)
	}
	if has(b.Reports, reports.CodeCoverage) {
		views = append(views, view{id: "coverage", title: "Coverage", count: coveredLines(b.Reports)})
	}
	if len(b.Artifacts.Artifacts) > 0 {
		views = append(views, view{id: "artifacts", title: "Artifacts"})
	}
	if b.Record != nil {
		views = append(views, view{id: "environment", title: "Environment"})
	}
	return views
}

// coveredLines returns the covered part of all lines.
func coveredLines(set *reports.Set) string {
	var all reports.Counts
	for _, r := range set.Reports {
		if r.Sum != nil {
			all.Covered, all.Missed = all.Covered+r.Sum.Lines.Covered, all.Missed+r.Sum.Lines.Missed
		}
	}
	return percent(all)
}

// views writes the navigation and the sections of the views. They are hidden until a script
// shows one.
func (m markup) views(views []view) {
	m.put("<nav class=\"views\" id=\"views\" aria-label=\"Parts of this page\"><div class=\"wrap\">\n")
	for _, v := range views {
		m.put("<a href=\"#%s\">%s", v.id, v.title)
		class := "count"
		if v.bad {
			class = "count bad"
		}
		m.put("<span class=\"%s\">%s</span></a>\n", class, v.count)
	}
	m.put("</div></nav>\n<main class=\"wrap\" id=\"main\" tabindex=\"-1\">\n")
	for _, v := range views {
		m.put("<section id=\"view-%s\" tabindex=\"-1\" aria-labelledby=\"title-%s\" hidden>", v.id, v.id)
		m.put("<h2 class=\"sr\" id=\"title-%s\">%s</h2></section>\n", v.id, v.title)
	}
	m.put("<noscript><p>The rest of this page needs JavaScript. The log is in log.txt.</p></noscript>\n</main>\n")
}
