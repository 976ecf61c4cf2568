package cmd

import (
	"testing"

	"github.com/buildlocal/buildlocal/engine"
)

func TestKeepUnfinished_KeepsWhatALivingBuildIsMaking(t *testing.T) {
	made := func(alive bool, labels ...string) trace {
		l := engine.Resource{Labels: map[string]string{}}
		for i := 0; i+1 < len(labels); i += 2 {
			l.Labels[labels[i]] = labels[i+1]
		}
		return trace{Resource: l, alive: alive}
	}
	all := []trace{
		made(true, labelBuild, "1-a", labelHost, "h", labelTemp, "/t"),
		made(false, labelBuild, "2-b", labelHost, "h", labelTemp, "/u"),
		made(false, labelBuild, "1-a", labelHost, "h"), // the builder has not come to the others yet
		made(false, labelBuild, "1-a"),
		made(false, labelBuild, "2-b", labelHost, "h"),
		made(false, labelBuild, "3-c"),
		made(false, labelBuild, "1-a", labelHost, "h", labelTemp, "/gone"), // another run's
	}
	keepUnfinished(all)
	for i, want := range []bool{true, false, true, true, false, false, false} {
		if all[i].alive != want {
			t.Errorf("%d: %v is alive: %t; want %t", i, all[i].Labels, all[i].alive, want)
		}
	}
}
