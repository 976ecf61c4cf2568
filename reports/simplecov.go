package reports

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"
)

// readSimpleCov reads SimpleCov's .resultset.json, whose suites are merged, and its newer
// coverage.json.
func readSimpleCov(in io.Reader, out *reading) error {
	d := newDocument(in)
	if err := d.expect('{', "an object", "", "Result"); err != nil {
		return err
	}
	s := &simplecov{out: out, lines: map[string][]*int64{}}
	for {
		key, more, err := d.key()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		switch {
		case key == "coverage":
			err = s.files(d)
		case key == "files" || key == "metrics":
			err = d.wrong("unexpected key %q, as simplecov-json writes it, which CodeBuild does not support", key)
		case key == "meta" || key == "total" || key == "groups" || key == "errors" || strings.HasPrefix(key, "$"):
			err = d.skip()
		default:
			err = s.suite(d, key)
		}
		if err != nil {
			return err
		}
	}
	// A JSON document of another kind has no coverage anywhere.
	if !s.found {
		return d.wrong("no key coverage")
	}
	s.finish()
	return d.finished()
}

// simplecov merges the suites of a result set, as SimpleCov itself does: hits of the same line are
// added, because each suite is a run of its own.
type simplecov struct {
	out   *reading
	lines map[string][]*int64
	found bool
}

// suite reads the coverage of one command.
func (s *simplecov) suite(d document, name string) error {
	if err := d.expect('{', "the results of "+name, name, "Suite"); err != nil {
		return err
	}
	for {
		key, more, err := d.key()
		if err != nil || !more {
			return err
		}
		if key == "coverage" {
			err = s.files(d)
		} else {
			err = d.skip()
		}
		if err != nil {
			return err
		}
	}
}

// files reads an object of files. Each value is an array of hits, or an object with lines and
// branches.
func (s *simplecov) files(d document) error {
	s.found = true
	if err := d.expect('{', "an object of files", "coverage", "map[string]File"); err != nil {
		return err
	}
	for {
		file, more, err := d.key()
		if err != nil || !more {
			return err
		}
		if err := s.file(d, file); err != nil {
			return err
		}
	}
}

func (s *simplecov) file(d document, file string) error {
	// One file is decoded as a whole: its form is only known from its first character.
	var raw json.RawMessage
	if err := d.decode(&raw, "coverage"); err != nil {
		return err
	}
	covered := struct {
		Lines    []json.RawMessage
		Branches json.RawMessage
	}{}
	into := any(&covered)
	if len(raw) > 0 && raw[0] == '[' {
		into = &covered.Lines
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return d.wrong("the coverage of %s is expected to be an array of numbers, or an object with lines", file)
	}
	s.out.covered(file)
	if err := s.add(d, file, covered.Lines); err != nil {
		return err
	}
	return s.branches(d, file, covered.Branches)
}

// add adds the hits of a file to those of other suites. A line is relevant if it is in any suite.
func (s *simplecov) add(d document, file string, lines []json.RawMessage) error {
	all := s.lines[file]
	for i, raw := range lines {
		n, err := lineHits(raw)
		if err != nil {
			return d.wrong("line %d of %s is expected to be a number or null", i+1, file)
		}
		switch {
		case i >= len(all):
			all = append(all, n)
		case all[i] == nil:
			all[i] = n
		case n != nil:
			sum := *all[i] + *n
			all[i] = &sum
		}
	}
	s.lines[file] = all
	return nil
}

// lineHits is nil for a line that is not relevant.
func lineHits(raw json.RawMessage) (*int64, error) {
	text := string(raw)
	// null is a line without code; "ignored" is one between :nocov: comments.
	if text == "null" || text == `"ignored"` {
		return nil, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	n := max(0, int64(f))
	return &n, err
}

// branches reads either form: conditions with their branches, or a list of branches.
func (s *simplecov) branches(d document, file string, raw json.RawMessage) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var list []struct {
		Line     int `json:"report_line"`
		Start    int `json:"start_line"`
		Coverage json.RawMessage
	}
	conditions := map[string]map[string]json.RawMessage{}
	if json.Unmarshal(raw, &list) != nil && json.Unmarshal(raw, &conditions) != nil {
		return d.wrong("the branches of %s are expected to be conditions with their branches", file)
	}
	sums := map[int]Counts{}
	count := func(line int, hits json.RawMessage) {
		if n, err := lineHits(hits); err == nil && n != nil {
			c := Counts{Missed: 1}
			if *n > 0 {
				c = Counts{Covered: 1}
			}
			sums[line] = sums[line].plus(c)
		}
	}
	for _, b := range list {
		// A missing key is 0.
		count(max(b.Line, b.Start), b.Coverage)
	}
	for condition, branches := range conditions {
		// In .resultset.json a condition is the key, printed as a Ruby array, and its branches are the
		// value.
		for _, hits := range branches {
			count(conditionLine(condition), hits)
		}
	}
	for line, counts := range sums {
		s.out.line(file, Line{Number: line, Branches: counts})
	}
	return nil
}

// conditionLine returns the line of a condition such as [:if, 0, 12, 4, 14, 7].
func conditionLine(key string) int {
	parts := strings.Split(strings.Trim(key, "[]"), ",")
	if len(parts) < 3 {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(parts[2]))
	return n
}

// finish adds the lines after all suites have been merged. A line with only branches was added
// before and keeps them.
func (s *simplecov) finish() {
	for file, lines := range s.lines {
		for i, n := range lines {
			if n != nil {
				s.out.line(file, Line{Number: i + 1, Hits: *n, Code: true})
			}
		}
	}
}
