package runner

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/buildlocal/buildlocal/internal/tree"
	"github.com/buildlocal/buildlocal/runner/shell"
)

// listSizes prints the size and the name of each file below some directories, but no more than a
// number of them. It needs find and a stat that knows -c, of GNU or busybox; without them the total
// stays unknown.
const listSizes = `find %s -type f -exec stat -c '%%s %%n' {} + 2>/dev/null | head -n %d`

// maxSized limits the files that are listed for a total. Their names are kept in memory.
const maxSized = 200_000

// copyTotal finds out how much a copy of selected files from a container will copy. A stream of files
// has no total, so a copy that takes long asks the build's shell, which has nothing to do. A new
// process would not start meanwhile: Docker locks the container while files are copied out of it.
type copyTotal struct {
	shells    *shellState
	selection tree.Selection

	begin sync.Once
	group sync.WaitGroup
	found atomic.Pointer[Copy] // with the totals; nil while they are unknown
}

// addTo adds the totals to the progress of a copy, as soon as they are known. The first call begins to
// look for them. Files that the build still writes, and targets of links, can make the copy larger:
// then there is no total.
func (t *copyTotal) addTo(ctx context.Context, progress *Copy) {
	t.begin.Do(func() { t.group.Go(func() { t.find(ctx) }) })
	progress.AllFiles, progress.AllBytes = 0, 0
	if all := t.found.Load(); all != nil && progress.Files <= all.AllFiles && progress.Bytes <= all.AllBytes {
		progress.AllFiles, progress.AllBytes = all.AllFiles, all.AllBytes
	}
}

// find sets the totals, unless the shell cannot list the files.
func (t *copyTotal) find(ctx context.Context) {
	var dirs []string
	for _, dir := range t.selection.Dirs() {
		dirs = append(dirs, shell.Quote(dir))
	}
	if t.shells == nil || len(dirs) == 0 {
		return
	}
	output, exit, err := t.shells.capture(ctx, fmt.Sprintf(listSizes, strings.Join(dirs, " "), maxSized))
	if err != nil || exit != 0 || strings.Count(output, "\n") >= maxSized {
		return
	}
	var all Copy
	for line := range strings.Lines(output) { // a name with a line break is not counted
		size, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if n, err := strconv.ParseInt(size, 10, 64); err == nil && t.selection.Selects(name) {
			all.AllFiles, all.AllBytes = all.AllFiles+1, all.AllBytes+n
		}
	}
	t.found.Store(&all)
}

// wait waits until the shell has nothing to do again. Listing files takes less time than copying them.
func (t *copyTotal) wait() { t.group.Wait() }
