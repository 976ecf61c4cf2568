package reports

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// cucumberElement is a scenario, or a background that runs before scenarios.
type cucumberElement struct {
	Type, Keyword, Name string
	// The types of line and duration differ between implementations, and strings occur.
	Line json.RawMessage
	// Hooks of a scenario and of a single step have the same form as a step.
	Before, After []cucumberStep
	Steps         []cucumberStep
}

// cucumberStep is a step or a hook.
type cucumberStep struct {
	Keyword, Name string
	Line          json.RawMessage
	Before, After []cucumberStep
	Match         struct{ Location string }
	Result        struct {
		Status   string
		Duration json.RawMessage
		Message  string `json:"error_message"`
	}
}

// readCucumber reads a Cucumber report: an array of features.
func readCucumber(in io.Reader, out *reading) error {
	d := newDocument(in)
	if err := d.expect('[', "an array of features", "", "[]Result"); err != nil {
		return err
	}
	// Cucumber writes an empty array if it found no feature, usually because of a wrong path or tag.
	// That is reported rather than shown as a success.
	n := 0
	for ; d.More(); n++ {
		if err := readFeature(d, out); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return d.fault(err, "")
	}
	if n == 0 {
		return &refusal{d.wrong("it has no features"), ""}
	}
	return d.finished()
}

// readFeature reads one feature. Its name may follow its scenarios, so the name is set at the end.
func readFeature(d document, out *reading) error {
	if err := d.expect('{', "a feature", "", "Result"); err != nil {
		return err
	}
	var name, uri string
	feature, before := false, out.sequence
	for {
		key, more, err := d.key()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		switch key {
		case "name":
			err = d.decode(&name, "name")
		case "uri":
			err = d.decode(&uri, "uri")
		case "elements":
			err = readElements(d, out)
			feature = true
		default:
			feature = feature || key == "keyword" || key == "id"
			err = d.skip()
		}
		if err != nil {
			return err
		}
	}
	if !feature {
		return d.wrong("an object without elements or keyword is not a feature")
	}
	for _, list := range [][]Case{out.bad, out.good, out.slow} {
		for i := range list {
			if c := &list[i]; c.sequence > before {
				c.Prefix, c.Suite, c.at.File = out.share(name), out.share(cmp.Or(name, uri)), out.share(uri)
			}
		}
	}
	return nil
}

// readElements reads the scenarios of a feature. Backgrounds belong to the next scenario.
func readElements(d document, out *reading) error {
	if err := d.expect('[', "an array of elements", "elements", "[]Element"); err != nil {
		return err
	}
	var background []cucumberStep
	for d.More() {
		e := cucumberElement{}
		if err := d.decode(&e, "elements"); err != nil {
			return err
		}
		e.checkDurations(out)
		for i, s := range e.Steps {
			e.Steps[i].Result.Status = cmp.Or(s.Result.Status, "undefined")
		}
		steps := append(append(append([]cucumberStep{}, e.Before...), e.Steps...), e.After...)
		if e.Type == "background" || e.Type == "" && strings.EqualFold(e.Keyword, "background") {
			background = append(background, steps...)
			continue
		}
		out.add(e.result(append(background, steps...), out))
		background = nil
	}
	_, err := d.Token()
	if err != nil {
		err = d.fault(err, "")
	}
	return err
}

// checkDurations reports the first duration that CodeBuild refuses.
func (e cucumberElement) checkDurations(out *reading) {
	check := func(steps []cucumberStep, field string) {
		for _, s := range steps {
			if p := badDuration(s.Result.Duration, field+".result.duration"); p != nil {
				out.refuse(*p)
			}
		}
	}
	check(e.Before, "before")
	check(e.Steps, "steps")
	check(e.After, "after")
	for _, s := range e.Steps {
		check(s.Before, "steps.before")
		check(s.After, "steps.after")
	}
}

// cucumberStatuses are the statuses of steps, in order of precedence. As in Cucumber itself,
// undefined and ambiguous steps fail a scenario. Pending ones skip it.
var cucumberStatuses = []struct {
	step   string
	status CaseStatus
}{
	{"failed", CaseFailed}, {"undefined", CaseFailed}, {"ambiguous", CaseFailed},
	{"pending", CaseSkipped}, {"skipped", CaseSkipped}, {"disabled", CaseSkipped}, {"unused", CaseSkipped},
}

// result returns the test case of a scenario with its steps.
func (e cucumberElement) result(steps []cucumberStep, out *reading) Case {
	c := Case{Name: e.Name, Status: CaseSucceeded}
	_ = json.Unmarshal(e.Line, &c.at.Line)
	var all []cucumberStep
	for _, s := range steps {
		all = append(append(append(all, s.Before...), s), s.After...)
	}

	seen := map[string]cucumberStep{}
	for _, s := range all {
		c.Duration += s.duration()
		status := strings.ToLower(s.Result.Status)
		if _, found := seen[status]; !found {
			seen[status] = s
		}
	}
	for _, known := range cucumberStatuses {
		if s, found := seen[known.step]; found {
			c.Status = known.status
			c.Message = s.message(known.step, out)
			_ = json.Unmarshal(s.Line, &c.at.Line)
			return c
		}
	}
	delete(seen, "passed")
	delete(seen, "")
	if len(seen) > 0 {
		c.Status = CaseUnknown
	}
	return c
}

// message describes the step that decides the result.
func (s cucumberStep) message(status string, out *reading) string {
	t := out.newText()
	if text := strings.TrimSpace(strings.TrimSpace(s.Keyword) + " " + s.Name); text != "" {
		t.line(fmt.Sprintf("%s (%s)", text, status))
	}
	t.line(s.Result.Message)
	return t.take()
}

// duration returns the duration of a step, which is in nanoseconds, as a number or a string. CodeBuild
// refuses strings and fractions, see badDuration.
func (s cucumberStep) duration() time.Duration {
	return number(strings.Trim(string(s.Result.Duration), `"`), time.Nanosecond)
}
