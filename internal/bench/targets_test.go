package main

import "testing"

func TestALimitIsMetUnlessTheTargetSaysBelow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		seconds float64
		peakKiB int64
		binary  int64
		want    map[string]bool
	}{
		{0.8, 64 * 1024, 30_000_000, map[string]bool{
			"W4: buildlocal at most 0.8 x docker run": true,
			"W4: buildlocal client below 64 MiB":      false,
			"startup: buildlocal binary below 30 MB":  false,
		}},
		{0.81, 64*1024 - 1, 29_999_999, map[string]bool{
			"W4: buildlocal at most 0.8 x docker run": false,
			"W4: buildlocal client below 64 MiB":      true,
			"startup: buildlocal binary below 30 MB":  true,
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
		for _, v := range judge(r) {
			met[v.Target] = v.Met
		}
		for name, want := range c.want {
			if got := met[name]; got == nil || *got != want {
				t.Errorf("%v s, %d KiB, %d bytes: %q is not %v", c.seconds, c.peakKiB, c.binary, name, want)
			}
		}
	}
}

func TestADockerBuildInTheBuildIsComparedWithoutTheBuildAroundIt(t *testing.T) {
	t.Parallel()
	r := &Report{}
	for arm, seconds := range map[string]float64{onThisMachine: 2, privileged: 1, builtInside: 4} {
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
