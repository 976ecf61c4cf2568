package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

// Recording is a build that is shown again, or while it runs in another terminal.
type Recording struct {
	store   *builds.Store
	build   builds.Build
	journal *os.File
	log     *os.File
}

// OpenRecording opens the recording of a build, which must be closed.
func OpenRecording(s *builds.Store, b builds.Build) (*Recording, error) {
	journal, err := b.OpenJournal()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, NewInputError(fmt.Errorf("build %d has no record of its output", b.Number))
	}
	if err != nil {
		return nil, err
	}
	log, err := b.OpenLog()
	if err != nil {
		return nil, errors.Join(err, journal.Close())
	}
	return &Recording{store: s, build: b, journal: journal, log: log}, nil
}

// Close closes the files of the recording.
func (r *Recording) Close() error { return errors.Join(r.journal.Close(), r.log.Close()) }

// followInterval is the time between two looks at the files of a build that runs.
const followInterval = 100 * time.Millisecond

// Show passes the events of the build to a sink. If the build still runs, it returns after those
// that were recorded so far, or with follow when the build ends.
func (r *Recording) Show(ctx context.Context, sink Sink, follow bool) error {
	replay := &console.Replay{
		Journal: r.journal, Log: r.log, Record: func() (*runner.Record, error) { return r.record(ctx) },
		Reports: func() *reports.Set {
			set, err := reports.ReadSet(r.build.Path)
			if err != nil {
				return nil
			}
			return set
		},
	}
	for {
		running := r.store.Running(r.build) // before the files are read, so that the end is not missed
		ended, err := replay.Next(sink.Notify)
		if err = errors.Join(err, sink.Err()); err != nil || ended || !follow || !running {
			return err
		}
		if err := sleep(ctx, followInterval); err != nil {
			return err
		}
	}
}

// record returns the record of the build. It is written after the last event.
func (r *Recording) record(ctx context.Context) (*runner.Record, error) {
	for {
		running := r.store.Running(r.build)
		record, err := ReadRecord(r.build)
		if err == nil || !running {
			return record, err
		}
		if err := sleep(ctx, followInterval); err != nil {
			return nil, err
		}
	}
}

// sleep waits for a duration, or returns the cause why ctx is done.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
