package page

import (
	"bufio"
	"fmt"
	"io"
	"slices"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

// Index is the data of the page of all builds.
type Index struct {
	Builds []Summary    // of a directory, the oldest first
	Latest *reports.Set // of the latest build, for tests to watch; may be nil
}

// watched is a test that has failed in one of the kept builds.
type watched struct {
	Suite   string          `json:"suite"`
	Name    string          `json:"name"`
	Change  reports.Change  `json:"change"`
	History reports.History `json:"history"`
}

// indexTable is the data for the scripts.
type indexTable struct {
	Builds []Summary `json:"builds"`
	Watch  []watched `json:"watch"`
}

// WriteIndex writes the page of all builds. Texts are treated as those of the page of a build.
func WriteIndex(w io.Writer, x Index) error {
	style, script, err := readAssets(indexScripts)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	m := markup{out}
	title, class, text := indexTitle(x.Builds)
	m.begin(title+" builds", style, script)
	m.bandBegins(class, "", "buildlocal")
	m.title(class, title, "")
	m.put("<p class=\"lede\">%s</p>\n</div>\n</header>\n", text)
	m.put("<main class=\"wrap\" id=\"main\" tabindex=\"-1\"><div class=\"overview calm\">\n")
	m.put("<div class=\"when\" id=\"list\"></div>\n<div class=\"side\" id=\"side\"></div>\n</div>\n")
	m.put("<noscript><p>This page needs JavaScript. builds.json has the same list.</p></noscript>\n</main>\n")
	if err := newPieces(out).json("builds", indexTable{append([]Summary{}, x.Builds...), watch(x.Latest)}); err != nil {
		return err
	}
	m.script(script)
	m.end()
	return out.Flush()
}

// indexTitle returns the title, the class of the verdict, and a sentence.
func indexTitle(all []Summary) (title, class, text string) {
	if len(all) == 0 {
		return "No", "stopped", "There are no builds in this directory."
	}
	last, good := all[len(all)-1], 0
	title = diag.Printable(last.Project)
	for _, b := range all {
		if b.Status == runner.Succeeded {
			good++
		}
		if b.Project != last.Project {
			title = "All projects"
		}
	}
	v := verdicts[last.Status]
	return title, v.class, fmt.Sprintf("%d of the last %s succeeded. The latest, build %d, %s.", good,
		plural(len(all), "build"), last.Number, v.words)
}

// maxWatched limits the tests to watch.
const maxWatched = 12

// watch returns the tests of a build that fail, or have failed in a kept build: failing ones
// first, then those that failed most often.
func watch(set *reports.Set) []watched {
	all := []watched{}
	if set == nil {
		return all
	}
	for _, r := range set.Reports {
		for _, c := range r.Cases {
			history := c.History + reports.History(outcome(c.Status))
			if failedBuilds(history) > 0 {
				all = append(all, watched{c.Suite, c.Name, c.Change, history})
			}
		}
	}
	rank := func(w watched) int { // a test that fails now is before all others
		last := w.History[len(w.History)-1:]
		return -failedBuilds(w.History) - len(w.History)*failedBuilds(last)
	}
	slices.SortStableFunc(all, func(a, b watched) int { return rank(a) - rank(b) })
	return all[:min(len(all), maxWatched)]
}

// outcome returns the letter of a status in a History.
func outcome(s reports.CaseStatus) string {
	switch s {
	case reports.CaseSucceeded:
		return "P"
	case reports.CaseFailed:
		return "F"
	case reports.CaseError:
		return "E"
	case reports.CaseSkipped:
		return "S"
	}
	return "U"
}

// failedBuilds counts the builds in which a test failed.
func failedBuilds(h reports.History) int {
	n := 0
	for _, letter := range h {
		if letter == 'F' || letter == 'E' {
			n++
		}
	}
	return n
}
