package console

import (
	"io"

	"github.com/buildlocal/buildlocal/runner"
)

// Remarked shows a build as CodeBuild's log on one stream, and on another one what the service does
// not have: notes, and the places and hints of failures.
type Remarked struct {
	*Service
	remarks *Text
}

// NewRemarked returns a Remarked that writes the log to w and the remarks to the writer err.
func NewRemarked(w, err io.Writer, o Options) *Remarked {
	o.Width, o.Progress = nil, ProgressOff // the log is another stream, which may be the same terminal
	return &Remarked{NewService(w), NewText(err, o)}
}

// Notify writes the lines for an event.
func (r *Remarked) Notify(e runner.Event) {
	r.Service.Notify(e)
	switch e.Kind {
	case runner.Noted:
		r.remarks.Notify(e)
	case runner.CommandEnded, runner.PhaseEnded:
		if e.Problem != nil {
			r.remarks.remark(e)
		}
	}
}

// remark prints the position of a failure, and hints.
func (t *Text) remark(e runner.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.explain(failure{problem: e.Problem, hints: e.Hints})
}
