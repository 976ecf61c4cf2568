//go:build unix

package tty

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/cmd/cli"
)

// Keys reads single keys from the terminal of this process, without Enter, until stop is called. Later
// keys are left to others. Both are nil without a terminal.
func Keys(ctx context.Context, a *cli.App) (keys <-chan byte, stop func()) {
	in, is := files(a)
	if !is || a.MakeRaw() != nil {
		return nil, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	typed, done := make(chan byte), make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if !readable(int(in.Fd())) {
				continue
			}
			var key [1]byte
			if n, err := in.Read(key[:]); n == 0 || err != nil {
				return // the terminal is gone
			}
			select {
			case typed <- key[0]:
			case <-ctx.Done():
			}
		}
	}()
	return typed, func() {
		cancel()
		<-done
		a.RestoreTerminal()
	}
}

// readable waits a moment for input, so that reading does not block.
func readable(fd int) bool {
	const moment = 50 // milliseconds
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, moment)
	return err == nil && n > 0
}
