package reports

import "encoding/json"

// coverageJSON has the fields of the API's CodeCoverage and of its summary. Branch counts are
// left out if a report has no branches (our choice). The types with the fields of Go are separate
// from this one, because the API flattens the counts into numbers and percentages.
type coverageJSON struct {
	Path            string   `json:"filePath,omitempty"`
	LinePercent     float64  `json:"lineCoveragePercentage"`
	LinesCovered    int      `json:"linesCovered"`
	LinesMissed     int      `json:"linesMissed"`
	BranchPercent   *float64 `json:"branchCoveragePercentage,omitempty"`
	BranchesCovered *int     `json:"branchesCovered,omitempty"`
	BranchesMissed  *int     `json:"branchesMissed,omitempty"`
	Place           string   `json:"source,omitempty"`
}

// coverageOf returns the fields for counts.
func coverageOf(lines, branches Counts) coverageJSON {
	j := coverageJSON{LinePercent: lines.Percent(), LinesCovered: lines.Covered, LinesMissed: lines.Missed}
	if branches.Total() > 0 {
		percent := branches.Percent()
		j.BranchPercent, j.BranchesCovered, j.BranchesMissed = &percent, &branches.Covered, &branches.Missed
	}
	return j
}

// counts is the inverse of coverageOf. The percentages are derived, so they are not read.
func (j coverageJSON) counts() (lines, branches Counts) {
	lines = Counts{j.LinesCovered, j.LinesMissed}
	if j.BranchesCovered != nil && j.BranchesMissed != nil {
		branches = Counts{*j.BranchesCovered, *j.BranchesMissed}
	}
	return lines, branches
}

// MarshalJSON writes the API's fields. They do not include the individual lines.
func (c Coverage) MarshalJSON() ([]byte, error) {
	j := coverageOf(c.Lines, c.Branches)
	j.Path, j.Place = c.Path, c.Place
	return json.Marshal(j)
}

// UnmarshalJSON reads the output of MarshalJSON.
func (c *Coverage) UnmarshalJSON(text []byte) error {
	j := coverageJSON{}
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	c.Path, c.Place = j.Path, j.Place
	c.Lines, c.Branches = j.counts()
	return nil
}

// MarshalJSON writes the API's fields.
func (s Sum) MarshalJSON() ([]byte, error) { return json.Marshal(coverageOf(s.Lines, s.Branches)) }

// UnmarshalJSON reads the output of MarshalJSON.
func (s *Sum) UnmarshalJSON(text []byte) error {
	j := coverageJSON{}
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	s.Lines, s.Branches = j.counts()
	return nil
}
