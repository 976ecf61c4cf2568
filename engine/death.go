package engine

import (
	"context"
	"fmt"

	"github.com/buildlocal/buildlocal/internal/human"
)

// Mortal is a Container that knows why it ended before Close.
type Mortal interface {
	// WhyEnded returns a *Fault that explains why the container no longer runs, as the state of
	// the engine or of the host has it, or why the engine no longer answers. It returns nil if
	// the container runs, or if its first process has exited by itself.
	WhyEnded(ctx context.Context) error
}

// blameless is the hint of a build that something outside of it has ended.
const blameless = "The buildspec is not the cause; run it again."

// Removed returns the fault of a container that another program has removed.
func Removed() *Fault {
	return &Fault{Kind: Died, Message: "the build's container was removed by another program", Hint: blameless}
}

// Killed returns the fault of a container whose first process another program has killed.
func Killed() *Fault {
	return &Fault{Kind: Died, Message: "the build's container was killed by another program", Hint: blameless}
}

// OutOfMemory returns the fault of a container that ended because its memory was used up. limit is
// in bytes; 0 for unlimited.
func OutOfMemory(limit int64) *Fault {
	if limit > 0 {
		return &Fault{Kind: Died, Hint: "Use a larger --compute-type, or less memory in the commands.",
			Message: fmt.Sprintf("out of memory: the container reached its limit of %s", human.Memory(limit))}
	}
	return &Fault{Kind: Died, Hint: "Give the engine more memory, or use less of it in the commands.",
		Message: "out of memory: the host has no more, and the container was killed"}
}

// Unanswering returns the fault of an engine that no longer answers at an address. err is the cause.
func Unanswering(address string, err error) *Fault {
	return &Fault{Kind: NoEngine, Message: "Docker stopped answering at " + address, Hint: blameless, Err: err}
}
