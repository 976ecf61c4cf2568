package main

import (
	"math"
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{4}, 4},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		before := slices.Clone(c.values)
		if got := median(c.values); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.values, got, c.want)
		}
		if !slices.Equal(c.values, before) {
			t.Errorf("median changed its argument %v to %v", before, c.values)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing = %v, want NaN", got)
	}
}

func TestRatio_NeedsBothArms(t *testing.T) {
	t.Parallel()
	r := someReport()
	if got, ok := r.ratio("W1", buildlocal); !ok || math.Abs(got-1.5) > 1e-9 {
		t.Errorf("ratio of W1 = %v, %v, want 1.5", got, ok)
	}
	for _, c := range []struct{ workload, arm string }{
		{"W2", "act"},         // failed in a later round
		{"W1", "act"},         // not installed
		{"W4", buildlocal},    // not part of the run
		{"startup", help},     // no docker run to compare with
		{"W1", "someone"},     // unknown
		{"nothing", "at all"}, // unknown
	} {
		if got, ok := r.ratio(c.workload, c.arm); ok {
			t.Errorf("ratio(%s, %s) = %v, want none", c.workload, c.arm, got)
		}
	}
}

func TestMinusW1_SameArm(t *testing.T) {
	t.Parallel()
	r := someReport()
	if got, ok := r.minusW1("W2", buildlocal); !ok || math.Abs(got-0.7) > 1e-9 {
		t.Errorf("minusW1 = %v, %v, want 0.7", got, ok)
	}
	if got, ok := r.minusW1("W1", buildlocal); ok {
		t.Errorf("minusW1 of W1 itself = %v, want none", got)
	}
}

// someReport is a run of W1, W2 and startup with every kind of result.
func someReport() *Report {
	r := &Report{
		Platform: "linux/amd64", CPUs: 2, Engine: "20.10.24", Image: "base", Rounds: 3,
		BinaryBytes: 26_500_000, FloorKiB: 8704,
		Results: []*Result{
			{Workload: "W1", Arm: dockerRun, Seconds: []float64{0.2, 0.4, 0.1}, PeaksKiB: []int64{24576, 24000, 100}},
			{Workload: "W1", Arm: buildlocal, Seconds: []float64{0.3, 0.3, 0.9}, PeaksKiB: []int64{15360, 15000, 14000}},
			{Workload: "W1", Arm: "act", Absent: "not installed"},
			{Workload: "W2", Arm: dockerRun, Seconds: []float64{0.25}, PeaksKiB: []int64{0}},
			{Workload: "W2", Arm: buildlocal, Seconds: []float64{1}, PeaksKiB: []int64{0}},
			{Workload: "W2", Arm: "act", Seconds: []float64{1}, PeaksKiB: []int64{0}, Failure: "exit status 3\nno space left"},
			{Workload: "startup", Arm: help, Seconds: []float64{0.03}, PeaksKiB: []int64{9000}},
		},
	}
	for _, x := range r.Results {
		x.summarize()
	}
	r.Verdicts = evaluate(r)
	return r
}
