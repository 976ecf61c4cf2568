package runner

import (
	"math"
	"time"
)

// Series is the resource usage of a build over time, in steps of equal length.
type Series struct {
	// StartMilliseconds is the beginning of the first step, from that of the build.
	StartMilliseconds int64     `json:"startInMilliseconds"`
	StepMilliseconds  int64     `json:"stepInMilliseconds"`
	CPU               []float64 `json:"cpu"`           // mean number of busy processors
	Memory            []int64   `json:"memoryInBytes"` // highest sample
}

const (
	seriesStep = 250 * time.Millisecond // of a short build
	// maxSteps limits a series. Two steps become one when it is reached, so the series of a
	// long build is as large as that of a short one.
	maxSteps = 480
)

// series collects the samples of a Series.
type series struct {
	start  time.Time
	step   time.Duration
	busy   []time.Duration // processor time in each step
	memory []int64
	until  time.Duration // of the last sample, from start
	cpu    time.Duration // of the last sample
}

// add adds a sample: the processor time since the container was started, and its memory.
// The time since the last sample is distributed evenly over the steps that it spans.
func (s *series) add(at time.Time, cpu time.Duration, memory int64) {
	if s.start.IsZero() {
		s.start, s.step, s.cpu = at, seriesStep, cpu
	}
	now, used := at.Sub(s.start), max(0, cpu-s.cpu)
	if now < s.until { // the clock was set
		return
	}
	for now/s.step >= maxSteps {
		s.halve()
	}
	span := max(1, now-s.until)
	for i := s.until / s.step; i <= now/s.step; i++ {
		if int(i) == len(s.busy) {
			s.busy, s.memory = append(s.busy, 0), append(s.memory, memory)
		}
		part := max(0, min(now, (i+1)*s.step)-max(s.until, i*s.step))
		s.busy[i] += time.Duration(float64(used) * float64(part) / float64(span))
		s.memory[i] = max(s.memory[i], memory)
	}
	s.until, s.cpu = now, max(s.cpu, cpu)
}

// halve makes one step of two.
func (s *series) halve() {
	for i := 0; i < len(s.busy); i += 2 {
		busy, memory := s.busy[i], s.memory[i]
		if i+1 < len(s.busy) {
			busy, memory = busy+s.busy[i+1], max(memory, s.memory[i+1])
		}
		s.busy[i/2], s.memory[i/2] = busy, memory
	}
	half := (len(s.busy) + 1) / 2
	s.busy, s.memory, s.step = s.busy[:half], s.memory[:half], 2*s.step
}

// minSeries is the smallest number of steps of a series that is recorded.
const minSeries = 3

// record returns the series of a build that began at a time; nil if it is too short to be
// of interest.
func (s *series) record(began time.Time) *Series {
	if len(s.busy) < minSeries {
		return nil
	}
	r := &Series{StartMilliseconds: s.start.Sub(began).Milliseconds(), StepMilliseconds: s.step.Milliseconds()}
	for i, busy := range s.busy {
		span := max(1, min(s.step, s.until-time.Duration(i)*s.step)) // the last step may be shorter
		const hundredths = 100
		r.CPU = append(r.CPU, math.Round(hundredths*float64(busy)/float64(span))/hundredths)
		r.Memory = append(r.Memory, s.memory[i])
	}
	return r
}
