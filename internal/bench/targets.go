package main

import (
	"fmt"
	"slices"
	"strings"
)

// target is an upper limit of a figure. A missed target is reported, but does not make the
// run fail: many depend on the machine.
type target struct {
	workload  string
	text      string
	limit     float64 // in the unit of format
	exclusive bool    // the limit itself is a miss
	format    string  // of the value, for fmt
	// value returns the figure. ok is false if an arm that it needs was not measured.
	value func(*Report) (figure float64, ok bool)
}

// targets are the limits for all workloads. Ratios are used where a reference does the
// same work. Differences are used for an additional cost that does not depend on it.
var targets = slices.Concat([]target{
	{"W1", "at most 1.05 x docker run", 1.05, false, "%.2f x", ratioOf("W1")},
	{"W2", "at most 0.35 s more than W1", 0.35, false, "%+.3f s", minusW1Of("W2")},
	{"W3 git", "at most 0.1 s more than W1", 0.1, false, "%+.3f s", minusW1Of("W3 git")},
	{"W3 plain", "at most 0.1 s more than W1", 0.1, false, "%+.3f s", minusW1Of("W3 plain")},
	{"W4", "at most 0.4 x docker run", 0.4, false, "%.2f x", ratioOf("W4")},
	{"W4", "client below 64 MiB", 64, true, "%.1f MiB", peakOf("W4")},
	{"W5", "at most 1.0 x tar piped to tar", 1, false, "%.2f x", ratioTo("W5", buildlocal, piped)},
	{"W5", "client below 64 MiB", 64, true, "%.1f MiB", peakOf("W5")},
	{"W6", "restored in at most 0.3 s", 0.3, false, "%+.3f s", difference("W6", restored, uncached)},
	{"W6", "saved unchanged in at most 0.5 s", 0.5, false, "%+.3f s", difference("W6", unchanged, restored)},
	{"W6", "engine sandbox: restored in at most 0.3 s", 0.3, false, "%+.3f s",
		difference("W6", sandboxPrefix+restored, sandboxPrefix+uncached)},
	{"W6", "engine sandbox: saved unchanged in at most 0.5 s", 0.5, false, "%+.3f s",
		difference("W6", sandboxPrefix+unchanged, sandboxPrefix+restored)},
	{"W7", "nested daemon ready in at most 0.3 s", 0.3, false, "%+.3f s",
		difference("W7", privileged, unprivileged)},
	{"W7", "nested docker build at most 1.15 x the host's", 1.15, false, "%.2f x", nestedRatio},
	{"startup", "--help below 30 ms", 30, true, "%.1f ms", milliseconds(help)},
	{"startup", "plan below 30 ms", 30, true, "%.1f ms", milliseconds(plan)},
	{"startup", "validate below 20 ms", 20, true, "%.1f ms", milliseconds(validate)},
	{"startup", "--help at most 6 ms above the baseline", 6, false, "%+.1f ms", aboveBaseline(help)},
	{"startup", "plan at most 6 ms above the baseline", 6, false, "%+.1f ms", aboveBaseline(plan)},
	{"startup", "validate at most 6 ms above the baseline", 6, false, "%+.1f ms", aboveBaseline(validate)},
	{"startup", "validate of 300 files below 1 s", 1000, true, "%.1f ms", milliseconds(validateMany)},
	{"startup", "binary at most 27 MB", 27, false, "%.1f MB", binaryMB},
	{"unpack", "at most 1.3 x tar xf", 1.3, false, "%.2f x", unpackRatio},
	{"W1", host + " at most 35 ms", 35, false, "%.1f ms", func(r *Report) (float64, bool) {
		x := r.find("W1", host)
		if !x.measured() {
			return 0, false
		}
		return x.Median * 1000, true
	}},
}, withoutDocker(host, 0.1), withoutDocker(hostNonRoot, 0.15), withoutDocker(sandbox, 0.15),
	withoutDocker(sandboxNonRoot, 0.15))

// withoutDocker returns the targets of an arm that needs no daemon. part is the largest
// ratio to docker run in W1, which depends on the engine: a non-root user and an image cost
// more than the host's files as root.
func withoutDocker(arm string, part float64) []target {
	ratio := func(r *Report) (float64, bool) { return r.ratio("W1", arm) }
	more := func(workload string) func(*Report) (float64, bool) {
		return func(r *Report) (float64, bool) { return r.minusW1(workload, arm) }
	}
	return []target{
		{"W1", fmt.Sprintf("%s at most %g x docker run", arm, part), part, false, "%.2f x", ratio},
		{"W2", arm + " at most 0.5 s more than W1", 0.5, false, "%+.3f s", more("W2")},
		{"W3 git", arm + " at most 0.1 s more than W1", 0.1, false, "%+.3f s", more("W3 git")},
		{"W3 plain", arm + " at most 0.1 s more than W1", 0.1, false, "%+.3f s", more("W3 plain")},
	}
}

func unpackRatio(r *Report) (float64, bool) {
	x, base := r.find("unpack", unpack), r.find("unpack", untar)
	if !x.measured() || !base.measured() {
		return 0, false
	}
	return x.Median / base.Median, true
}

// Verdict reports whether a run met a target. Met is nil if the figure was not measured.
type Verdict struct {
	Target string `json:"target"`
	Met    *bool  `json:"met"`
	Value  string `json:"value,omitempty"`
}

// String returns the line of the report. Met must not be nil.
func (v Verdict) String() string {
	if *v.Met {
		return v.Target + ": met, " + v.Value
	}
	return v.Target + ": missed, " + v.Value
}

// evaluate compares a report with all targets. Texts that begin with the name of an arm
// repeat the program's name, which is removed.
func evaluate(r *Report) []Verdict {
	var verdicts []Verdict
	for _, t := range targets {
		v := Verdict{Target: t.workload + ": buildlocal " + strings.TrimPrefix(t.text, "buildlocal, ")}
		if value, ok := t.value(r); ok {
			v.Met = new(value < t.limit || !t.exclusive && value == t.limit)
			v.Value = fmt.Sprintf(t.format, value)
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

func ratioOf(workload string) func(*Report) (float64, bool) {
	return func(r *Report) (float64, bool) { return r.ratio(workload, buildlocal) }
}

func minusW1Of(workload string) func(*Report) (float64, bool) {
	return func(r *Report) (float64, bool) { return r.minusW1(workload, buildlocal) }
}

// peakOf returns the peak memory of buildlocal in MiB.
func peakOf(workload string) func(*Report) (float64, bool) {
	return func(r *Report) (float64, bool) {
		x := r.find(workload, buildlocal)
		if !x.measured() || x.PeakKiB == 0 {
			return 0, false
		}
		return float64(x.PeakKiB) / 1024, true
	}
}

// milliseconds returns the median of an arm of startup.
func milliseconds(arm string) func(*Report) (float64, bool) {
	return func(r *Report) (float64, bool) {
		x := r.find("startup", arm)
		if !x.measured() {
			return 0, false
		}
		return x.Median * 1000, true
	}
}

// aboveBaseline returns the part of a start that buildlocal itself is responsible for, in
// milliseconds: the difference between an arm and a program that only links the same
// dependencies.
func aboveBaseline(arm string) func(*Report) (float64, bool) {
	return func(r *Report) (float64, bool) {
		x, base := r.find("startup", arm), r.find("startup", baseline)
		if !x.measured() || !base.measured() {
			return 0, false
		}
		return (x.Median - base.Median) * 1000, true
	}
}

// binaryMB returns the size of the binary in decimal megabytes, as a download is measured.
func binaryMB(r *Report) (float64, bool) {
	return float64(r.BinaryBytes) / 1e6, r.BinaryBytes > 0
}
