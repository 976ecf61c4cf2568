//go:build unix

package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// resizes returns a channel that receives after the size of the terminal has changed.
func resizes(ctx context.Context, _ func() (columns, rows uint16)) <-chan struct{} {
	signals, changed := make(chan os.Signal, 1), make(chan struct{}, 1)
	signal.Notify(signals, syscall.SIGWINCH)
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-signals:
				notice(changed)
			case <-ctx.Done():
				return
			}
		}
	}()
	return changed
}
