package docker

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/engine"
)

// checkSingleFileSystem returns an error if another file system is mounted in a tree, unless
// it is hidden: an overlay shows an empty directory there.
func checkSingleFileSystem(tree engine.Tree) error {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	// The mount point is the fifth field, see proc_pid_mountinfo(5).
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		point := mountinfoUnescaper.Replace(fields[4])
		if below, found := strings.CutPrefix(point, tree.Host+"/"); found && !isHidden(tree, below) {
			return fmt.Errorf("%s is a separate file system", point)
		}
	}
	return nil
}

// mountinfoUnescaper decodes the octal escapes of /proc/self/mountinfo.
var mountinfoUnescaper = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// isHidden reports whether a name is below a hidden one.
func isHidden(tree engine.Tree, name string) bool {
	return slices.ContainsFunc(tree.Hide, func(h string) bool { return name == h || strings.HasPrefix(name, h+"/") })
}
