package main

import (
	"math"
	"slices"
)

// Result has all runs of one arm. Seconds and PeaksKiB have one value for each successful
// run. Absent is the reason why an arm was not run, and Failure is the error of a failed
// run with the end of its output.
type Result struct {
	Workload string    `json:"workload"`
	Arm      string    `json:"arm"`
	Median   float64   `json:"median_seconds,omitempty"`
	PeakKiB  int64     `json:"peak_kib,omitempty"` // the maximum of PeaksKiB
	Seconds  []float64 `json:"seconds,omitempty"`
	PeaksKiB []int64   `json:"peaks_kib,omitempty"`
	Absent   string    `json:"absent,omitempty"`
	Failure  string    `json:"failure,omitempty"`
}

// summarize sets the median of the times, which a single slow run does not change, and the
// largest peak, because a memory limit must hold for every run.
func (r *Result) summarize() {
	if len(r.Seconds) == 0 {
		return
	}
	r.Median = median(r.Seconds)
	r.PeakKiB = slices.Max(r.PeaksKiB)
}

// measured reports whether r has times to compare. An arm that failed in any round is not
// compared, and neither is nil, an arm that was not part of the run.
func (r *Result) measured() bool {
	return r != nil && r.Failure == "" && len(r.Seconds) > 0
}

// median returns the middle value, or the mean of the two in the middle, or NaN if there
// are no values.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	// Seconds stay in the order of the rounds.
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// find returns the result of an arm, or nil if the arm was not part of the run.
func (r *Report) find(workload, arm string) *Result {
	i := slices.IndexFunc(r.Results, func(x *Result) bool { return x.Workload == workload && x.Arm == arm })
	if i < 0 {
		return nil
	}
	return r.Results[i]
}

// ratio compares an arm's median with that of docker run in the same workload.
func (r *Report) ratio(workload, arm string) (float64, bool) {
	x, base := r.find(workload, arm), r.find(workload, dockerRun)
	if !x.measured() || !base.measured() {
		return 0, false
	}
	return x.Median / base.Median, true
}

// minusW1 returns the time that a workload adds to a build that does nothing, in seconds:
// the difference between an arm's median and the median of the same arm in W1.
func (r *Report) minusW1(workload, arm string) (float64, bool) {
	x, base := r.find(workload, arm), r.find("W1", arm)
	if !x.measured() || !base.measured() || x == base {
		return 0, false
	}
	return x.Median - base.Median, true
}
