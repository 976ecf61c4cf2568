//go:build !unix

package cli

import (
	"context"
	"time"
)

// resizes returns a channel that receives after the size of the terminal has changed. There is
// no signal for it on this system.
func resizes(ctx context.Context, size func() (columns, rows uint16)) <-chan struct{} {
	const interval = 250 * time.Millisecond
	changed := make(chan struct{}, 1)
	go func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		lastColumns, lastRows := size()
		for {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			if columns, rows := size(); columns != lastColumns || rows != lastRows {
				lastColumns, lastRows = columns, rows
				notice(changed)
			}
		}
	}()
	return changed
}
