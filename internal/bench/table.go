package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// print writes the table, the targets and the errors of failed arms.
func (r *Report) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d CPUs, Docker %s, image %s, "+
		"%s\n\n", r.Platform, r.CPUs, r.Engine, r.Image, r.Taken.Format("2006-01-02"))
	b.WriteString(align(r.rows()))
	if r.FloorKiB > 0 {
		fmt.Fprintf(&b, "\nPeak: memory of the client, not of the engine. Values below %s MiB cannot be "+
			"measured.\n", mebibytes(r.FloorKiB))
	}
	b.WriteString("\n")
	unmeasured := 0 // with -only these are most, so they are counted and not listed
	for _, v := range r.Verdicts {
		if v.Met == nil {
			unmeasured++
			continue
		}
		b.WriteString(v.String() + "\n")
	}
	if unmeasured > 0 {
		fmt.Fprintf(&b, "%d targets were not measured.\n", unmeasured)
	}
	for _, x := range r.Results {
		if x.Failure != "" {
			fmt.Fprintf(&b, "\n%s, %s failed:\n  %s\n", x.Workload, x.Arm, strings.ReplaceAll(x.Failure, "\n", "\n  "))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// rows returns the head of the table and one row for each result. If an arm has no
// figures, the reason is in the first of their columns.
func (r *Report) rows() [][]string {
	rows := [][]string{{"workload", "arm", "median s", "min", "max", "minus W1", "ratio to docker run", "peak MiB"}}
	for _, x := range r.Results {
		row := []string{x.Workload, x.Arm, "", "", "", "", "", ""}
		switch {
		case x.Failure != "":
			row[2] = "failed"
		case x.Absent != "":
			row[2] = x.Absent
		case x.measured():
			copy(row[2:], []string{seconds(x.Median), seconds(slices.Min(x.Seconds)), seconds(slices.Max(x.Seconds))})
			if x.PeakKiB > 0 {
				row[7] = mebibytes(x.PeakKiB)
			}
		}
		if more, ok := r.minusW1(x.Workload, x.Arm); ok {
			row[5] = fmt.Sprintf("%+.3f", more)
		}
		if ratio, ok := r.ratio(x.Workload, x.Arm); ok {
			row[6] = fmt.Sprintf("%.2f", ratio)
		}
		rows = append(rows, row)
	}
	return rows
}

func seconds(s float64) string { return fmt.Sprintf("%.3f", s) }

func mebibytes(kib int64) string { return fmt.Sprintf("%.1f", float64(kib)/1024) }

// align formats rows, the first of which is the head, as a Markdown table that is also
// readable as text. The first two columns are words and left-aligned, the others numbers
// and right-aligned.
func align(rows [][]string) string {
	const words = 2
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	rule := make([]string, len(widths))
	for i, width := range widths {
		rule[i] = strings.Repeat("-", width)
		if i >= words {
			rule[i] = rule[i][1:] + ":"
		}
	}
	var b strings.Builder
	for _, row := range slices.Insert(slices.Clone(rows), 1, rule) {
		for i, cell := range row {
			width := widths[i]
			if i < words {
				width = -width
			}
			fmt.Fprintf(&b, "| %*s ", width, cell)
		}
		b.WriteString("|\n")
	}
	return b.String()
}
