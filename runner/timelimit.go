package runner

import (
	"sync"
	"time"
)

// timeLimit limits the running time of a build. The time in which the build is stopped does not
// count. Its methods may be called concurrently.
type timeLimit struct {
	now func() time.Time

	mu      sync.Mutex
	timer   *time.Timer
	left    time.Duration // when the timer was started
	since   time.Time     // of the timer, or of the pause
	pauses  int           // stops that overlap
	stopped time.Duration // sum of all pauses
	expired bool
}

// newTimeLimit calls expire in a goroutine of its own after a running time.
func newTimeLimit(limit time.Duration, now func() time.Time, expire func()) *timeLimit {
	l := &timeLimit{now: now, left: limit, since: now()}
	l.timer = time.AfterFunc(limit, func() {
		l.mu.Lock()
		l.expired = true
		l.mu.Unlock()
		expire()
	})
	return l
}

// pause stops the clock. Each call needs one of resume.
func (l *timeLimit) pause() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pauses++; l.pauses > 1 {
		return
	}
	now := l.now()
	l.timer.Stop()
	l.left, l.since = max(0, l.left-now.Sub(l.since)), now
}

// resume lets the clock run again, unless another pause has not ended.
func (l *timeLimit) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pauses--; l.pauses > 0 {
		return
	}
	now := l.now()
	l.stopped += now.Sub(l.since)
	l.since = now
	if !l.expired {
		l.timer.Reset(l.left)
	}
}

// paused returns the time in which the build was stopped.
func (l *timeLimit) paused() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopped
}

// end releases the timer.
func (l *timeLimit) end() { l.timer.Stop() }
