package local

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/runner"
)

// usualBuilds is the number of successful builds whose durations are compared.
const usualBuilds = 5

// timedRecord is the part of a record with the durations of its commands.
type timedRecord struct {
	Project  string                 `json:"projectName"`
	Status   runner.Status          `json:"buildStatus"`
	Commands []runner.CommandRecord `json:"commands"`
}

// UsualDurations returns a function that returns the median duration of a command in the newest
// successful builds of the project, or 0 if it is unknown. The builds are read in the background;
// until then every duration is unknown.
func (s *Session) UsualDurations() func(command string) time.Duration {
	var found atomic.Pointer[map[string]time.Duration]
	go func() {
		medians := usualDurations(s.inputs.Builds, s.Plan.Identity.Project)
		found.Store(&medians)
	}()
	return func(command string) time.Duration {
		if medians := found.Load(); medians != nil {
			return (*medians)[command]
		}
		return 0
	}
}

// usualDurations returns the median durations of commands by their text.
func usualDurations(store *builds.Store, project string) map[string]time.Duration {
	all := map[string][]int64{}
	left := usualBuilds
	for _, b := range store.All() {
		var r timedRecord
		if left == 0 {
			break
		}
		if b.ReadRecord(&r) != nil || r.Project != project || r.Status != runner.Succeeded {
			continue
		}
		left--
		for _, c := range r.Commands {
			all[c.Text] = append(all[c.Text], c.Milliseconds)
		}
	}
	medians := map[string]time.Duration{}
	for text, durations := range all {
		slices.Sort(durations)
		medians[text] = time.Duration(durations[len(durations)/2]) * time.Millisecond
	}
	return medians
}
