//go:build !unix

package tty

import "time"

// windowChanges returns a channel that receives after the size of the terminal has changed. There
// is no signal for it on this system.
func windowChanges(size func() (columns, rows int)) <-chan struct{} {
	const interval = 250 * time.Millisecond
	changes := make(chan struct{}, 1)
	go func() {
		lastColumns, lastRows := size()
		for range time.Tick(interval) {
			columns, rows := size()
			if columns == lastColumns && rows == lastRows {
				continue
			}
			lastColumns, lastRows = columns, rows
			select {
			case changes <- struct{}{}:
			default: // the last change was not read yet
			}
		}
	}()
	return changes
}
