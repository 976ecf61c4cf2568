package main

import (
	"math"
	"slices"
)

// Result is all runs of one arm. Absent and Failure explain missing
// runs.
type Result struct {
	Workload string    `json:"workload"`
	Arm      string    `json:"arm"`
	Median   float64   `json:"median_seconds,omitempty"`
	PeakKiB  int64     `json:"peak_kib,omitempty"` // the largest
	Seconds  []float64 `json:"seconds,omitempty"`
	PeaksKiB []int64   `json:"peaks_kib,omitempty"`
	Absent   string    `json:"absent,omitempty"`
	Failure  string    `json:"failure,omitempty"`
}

func (r *Result) summarize() {
	if len(r.Seconds) == 0 {
		return
	}
	r.Median = median(r.Seconds)
	r.PeakKiB = slices.Max(r.PeaksKiB)
}

// measured says whether r has times to compare: an arm that failed in any round
// has none.
func (r *Result) measured() bool {
	return r != nil && r.Failure == "" && len(r.Seconds) > 0
}

// median returns the middle value, or the mean of the two in the middle.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// find returns nil for an arm that was not part of the run.
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

// minusW1 is what an arm's median is above the same arm's in W1, in seconds:
// what the workload adds to a build that does nothing.
func (r *Report) minusW1(workload, arm string) (float64, bool) {
	x, base := r.find(workload, arm), r.find("W1", arm)
	if !x.measured() || !base.measured() || x == base {
		return 0, false
	}
	return x.Median - base.Median, true
}
