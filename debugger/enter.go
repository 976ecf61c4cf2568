package debugger

import "github.com/buildlocal/buildlocal/runner"

// Enter gives the debugger the environment of a build before its first stop, for Shell. A build
// without stop points has none.
func (d *Debugger) Enter(live runner.Live) {
	d.change(func() { d.live = live })
}
