package page

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

// IndexName is the name of the index of all builds, in the output directory.
const IndexName = "index.html"

// verdicts are the classes of the header, and how its title continues after "Build 7".
var verdicts = map[runner.Status]struct{ class, words string }{
	runner.Succeeded: {"succeeded", "succeeded"},
	runner.Failed:    {"failed", "failed"},
	runner.Fault:     {"failed", "had an error"},
	runner.TimedOut:  {"stopped", "timed out"},
	runner.Stopped:   {"stopped", "was stopped"},
}

// titleOf returns the title of the window.
func titleOf(b Build) string {
	if b.Record == nil {
		return b.Title
	}
	return diag.Printable(fmt.Sprintf("%s #%d %s", b.Record.Project, b.Record.Number, verdicts[b.Record.Status].words))
}

// header writes the band with the verdict, which is visible before any script runs.
func (m markup) header(b Build) {
	r := b.Record
	if r == nil {
		class := "succeeded"
		if b.Reports.Bad() {
			class = "failed"
		}
		m.bandBegins(class, "", b.Title)
		m.title(class, b.Title, "")
		m.put("</div>\n</header>\n")
		return
	}
	v := verdicts[r.Status]
	index := "../../" + IndexName
	if b.Apart {
		index = ""
	}
	project := diag.Printable(r.Project)
	m.bandBegins(v.class, index, project+" / build "+itoa(r.Number))
	title, place := fmt.Sprintf("Build %d %s", r.Number, v.words), ""
	if r.Status != runner.Succeeded {
		if place = firstFailure(b); place != "" {
			title += " in"
		}
	}
	m.title(v.class, title, diag.Printable(place))
	if text := lede(b); text != "" {
		m.put("<p class=\"lede\">%s</p>\n", diag.Printable(text))
	}
	if place := r.Environment.Place; place != "" && r.Status != runner.Fault {
		m.put("<p class=\"notice\">This build ran in %s%s. The result may differ there.</p>\n", diag.Printable(place),
			notUsed(unusedImage(r)))
	}
	if r.Partial != nil {
		parts := diag.Printable(leftOut(r.Partial.LeftOut))
		m.put("<p class=\"notice\">This is a part of the build: %s left out.</p>\n", parts)
	}
	if restored := r.Restored; restored != nil {
		m.put("<p class=\"notice\">%s did not run: this build began with their results in build %s.</p>\n",
			diag.Printable(human.Series(restored.Names())), diag.Printable(restored.Build))
	}
	if len(r.ByHand) > 0 {
		m.put("<p class=\"notice\">This build was changed by hand: %s.</p>\n", diag.Printable(runner.ByHandText(r.ByHand)))
	}
	m.facts(r)
	m.put("</div>\n</header>\n")
}

// leftOut lists the parts that are left out, shortened.
func leftOut(names []string) string {
	const most = 5
	if more := len(names) - most; more > 0 {
		return strings.Join(names[:most], ", ") + " and " + human.Count(more, "other part") + " are"
	}
	return human.Series(names) + human.Plural(len(names), " is", " are")
}

// notUsed says that the configured image was not used.
func notUsed(image string) string {
	if image == "" {
		return ""
	}
	return " (" + diag.Printable(image) + ")"
}

// firstFailure returns the first line of the first command that failed, or the phase.
func firstFailure(b Build) string {
	const maxTitle = 80
	r := b.Record
	if all := b.failures(); len(all) > 0 {
		return human.CutMiddle(firstLine(r.Commands[all[0].Command].Text), maxTitle)
	}
	for _, c := range r.Commands { // builds that did not record failures
		if c.Exit != 0 {
			return human.CutMiddle(firstLine(c.Text), maxTitle)
		}
	}
	if p := failedPhase(r); p != nil {
		return cmp.Or(phaseNames[p.Type], string(p.Type))
	}
	return ""
}

func firstLine(text string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return first
}

// failedPhase returns the first phase that did not succeed; nil if there is no such phase.
func failedPhase(r *runner.Record) *runner.PhaseRecord {
	for i, p := range r.Phases {
		if !p.Status.IsOmitted() && p.Status != runner.Succeeded {
			return &r.Phases[i]
		}
	}
	return nil
}

// lede returns the sentences below the title: how the tests ended, and what else failed.
func lede(b Build) string {
	r, failures := b.Record, b.failures()
	var parts []string
	tests, bad, changes := testTotals(b.Reports)
	switch {
	case bad > 0:
		text := fmt.Sprintf("%s of %s failed", grouped(bad), plural(tests, "test"))
		if changes != "" {
			text += ": " + changes
		}
		parts = append(parts, text+".")
	case r.Status == runner.Succeeded && tests > 0:
		parts = append(parts, "None of "+plural(tests, "test")+" failed.")
	case len(failures) > 0 && r.Status == runner.Failed:
		exit := r.Commands[failures[0].Command].Exit
		parts = append(parts, fmt.Sprintf("The command exited with status %d.", exit))
	case failedPhase(r) != nil && failedPhase(r).Failure != nil:
		parts = append(parts, firstLine(failedPhase(r).Failure.Message))
	case failedPhase(r) != nil:
		parts = append(parts, firstLine(reasons(failedPhase(r).Contexts)))
	}
	if n := len(failures) - 1; n > 0 && r.Status != runner.Succeeded {
		last := r.Commands[failures[1].Command]
		more := "One more command"
		if n > 1 {
			more = itoa(n) + " more commands"
		}
		parts = append(parts, fmt.Sprintf("%s failed after it, in %s.", more, strings.ToLower(phaseNames[last.Phase])))
	}
	return strings.Join(parts, " ")
}

// testTotals returns the number of test cases, of failed ones, and their changes in words.
func testTotals(set *reports.Set) (tests, bad int, changes string) {
	if set == nil {
		return 0, 0, ""
	}
	var newly, still, flaky int
	for _, r := range set.Reports {
		if r.Tests != nil {
			tests, bad = tests+r.Tests.Total, bad+r.Tests.Bad()
		}
		if r.Changes != nil {
			newly, still, flaky = newly+r.Changes.NewlyFailing, still+r.Changes.StillFailing, flaky+r.Changes.Flaky
		}
	}
	var parts []string
	for _, part := range []struct {
		n    int
		text string
	}{{newly, "newly failing"}, {still, "still failing"}, {flaky, "flaky"}} {
		if part.n > 0 {
			parts = append(parts, itoa(part.n)+" "+part.text)
		}
	}
	return tests, bad, strings.Join(parts, ", ")
}

// facts writes the facts of the header.
func (m markup) facts(r *runner.Record) {
	m.put("<dl class=\"facts\">\n")
	if c := r.Commit; c != nil {
		const short = 7
		m.put("<div><dt>Commit</dt><dd><span class=\"mono\">%s</span> %s</dd></div>\n", c.ID[:min(len(c.ID), short)],
			diag.Printable(c.Subject))
		if c.Branch != "" {
			m.put("<div><dt>Branch</dt><dd>%s</dd></div>\n", diag.Printable(c.Branch))
		}
	}
	m.put("<div><dt>Duration</dt><dd class=\"num\">%s</dd></div>\n", seconds(r.End.Sub(r.Start)))
	m.put("<div><dt>Started</dt><dd class=\"num\"><time datetime=\"%s\">%s</time></dd></div>\n",
		r.Start.UTC().Format(time.RFC3339), r.Start.Format("2006-01-02 15:04"))
	if r.Environment.Place != "" {
		m.put("<div><dt>Image</dt><dd>none: this host's tools</dd></div>\n")
	} else {
		image := cmp.Or(r.Environment.StandIn, r.Environment.Image)
		m.put("<div class=\"full\"><dt>Image</dt><dd><code>%s</code></dd></div>\n", diag.Printable(image))
	}
	if r.Machine != nil {
		m.put("<div><dt>Engine</dt><dd>%s</dd></div>\n", diag.Printable(engineOf(r.Machine)))
		if text := computeOf(r.Machine); text != "" {
			m.put("<div><dt>Compute</dt><dd>%s</dd></div>\n", text)
		}
	}
	m.put("</dl>\n")
}

// engineOf describes an engine and its machine.
func engineOf(m *runner.Machine) string {
	text := map[string]string{"docker": "Docker", "sandbox": "Sandbox", "host": "Host"}[m.Engine]
	if text == "" {
		text = m.Engine
	}
	if m.Version != "" {
		text += " " + m.Version
	}
	if m.Name != "" {
		text += " on " + m.Name
	}
	return text
}

// computeOf describes the limits of a build.
func computeOf(m *runner.Machine) string {
	var parts []string
	if m.VCPU > 0 {
		parts = append(parts, fmt.Sprintf("%g vCPU", m.VCPU))
	}
	if m.Limit > 0 {
		parts = append(parts, human.Memory(m.Limit))
	}
	return strings.Join(parts, ", ")
}
