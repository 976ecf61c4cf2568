package local

import (
	"errors"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/runner"
)

// files are the log and the journal of a build.
type files struct {
	log      *console.Service
	journal  *console.Journal
	printing bool // the last event was output, whose next piece needs no entry
}

func (s *Session) newFiles() *files {
	return &files{log: console.NewServiceFile(s.log), journal: console.NewJournal(s.journal)}
}

// notify records an event. The error is that of the files.
func (f *files) notify(e runner.Event) error {
	if f == nil {
		return nil
	}
	if e.Kind != runner.Printed || !f.printing {
		f.journal.Notify(e, f.log.Offset())
	}
	f.printing = e.Kind == runner.Printed
	f.log.Notify(e)
	return errors.Join(f.log.Err(), f.journal.Err())
}

// end writes the results of a build.
func (s *Session) end(record *runner.Record, fault error) error {
	recorded := s.files.Load()
	if recorded == nil {
		return s.stayFailed(fault)
	}
	switch {
	case record.Kept || record.StateKept && !s.engine.kind.Daemonless():
		s.inputs.run.Keep(s.engine.host)
	case record.StateKept:
		s.inputs.run.Leave()
	}
	return errors.Join(recorded.log.Err(), s.log.Close(), s.journal.Close(),
		s.Dir.WriteLogIndex(recorded.log.Index()), s.leave(record))
}
