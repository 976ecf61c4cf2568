//go:build unix

package tty

import (
	"os"
	"os/signal"
	"syscall"
)

// windowChanges returns a channel that receives after the size of the terminal has changed.
func windowChanges(func() (columns, rows int)) <-chan struct{} {
	signals, changes := make(chan os.Signal, 1), make(chan struct{}, 1)
	signal.Notify(signals, syscall.SIGWINCH)
	go func() {
		for range signals {
			select {
			case changes <- struct{}{}:
			default: // a change that has not been seen yet
			}
		}
	}()
	return changes
}
