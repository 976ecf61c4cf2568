package main

import "testing"

func TestTarget_LimitIsInclusive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		seconds float64
		peakKiB int64
		binary  int64
		want    map[string]bool
	}{
		{0.4, 64 * 1024, 27_000_001, map[string]bool{
			"W4: buildlocal at most 0.4 x docker run":  true,
			"W4: buildlocal client below 64 MiB":       false,
			"startup: buildlocal binary at most 27 MB": false,
		}},
		{0.81, 64*1024 - 1, 27_000_000, map[string]bool{
			"W4: buildlocal at most 0.4 x docker run":  false,
			"W4: buildlocal client below 64 MiB":       true,
			"startup: buildlocal binary at most 27 MB": true,
		}},
	} {
		r := &Report{BinaryBytes: c.binary, Results: []*Result{
			{Workload: "W4", Arm: dockerRun, Seconds: []float64{1}, PeaksKiB: []int64{1}},
			{Workload: "W4", Arm: buildlocal, Seconds: []float64{c.seconds}, PeaksKiB: []int64{c.peakKiB}},
		}}
		for _, x := range r.Results {
			x.summarize()
		}
		met := map[string]*bool{}
		for _, v := range evaluate(r) {
			met[v.Target] = v.Met
		}
		for name, want := range c.want {
			if got := met[name]; got == nil || *got != want {
				t.Errorf("%v s, %d KiB, %d bytes: %q is not %v", c.seconds, c.peakKiB, c.binary, name, want)
			}
		}
	}
}

func TestTargets_NestedBuildExcludesOuter(t *testing.T) {
	t.Parallel()
	r := &Report{}
	for arm, seconds := range map[string]float64{onHostEngine: 2, privileged: 1, builtInside: 4} {
		x := &Result{Workload: "W7", Arm: arm, Seconds: []float64{seconds}, PeaksKiB: []int64{1}}
		x.summarize()
		r.Results = append(r.Results, x)
	}
	if ratio, ok := nestedRatio(r); !ok || ratio != 1.5 {
		t.Errorf("%v, %v; want 1.5", ratio, ok)
	}
	r.find("W7", privileged).Failure = "it failed"
	if _, ok := nestedRatio(r); ok {
		t.Error("an arm that failed was compared")
	}
}

func TestTargets_StartAboveBaseline(t *testing.T) {
	t.Parallel()
	const target = "startup: buildlocal --help at most 6 ms above the baseline"
	for seconds, want := range map[float64]bool{0.022: true, 0.024: false} {
		r := &Report{Results: []*Result{
			{Workload: "startup", Arm: baseline, Seconds: []float64{0.017}, PeaksKiB: []int64{1}},
			{Workload: "startup", Arm: help, Seconds: []float64{seconds}, PeaksKiB: []int64{1}},
		}}
		for _, x := range r.Results {
			x.summarize()
		}
		met := map[string]*bool{}
		for _, v := range evaluate(r) {
			met[v.Target] = v.Met
		}
		if got := met[target]; got == nil || *got != want {
			t.Errorf("%v s beside 0.017 s: %q is not %v", seconds, target, want)
		}
	}
}
