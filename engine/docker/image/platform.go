package image

import (
	"context"
	"errors"

	"github.com/docker/docker/api/types/image"

	"github.com/buildlocal/buildlocal/engine"
)

// CheckPlatform implements engine.PlatformChecker.
func (st *Store) CheckPlatform(ctx context.Context, i engine.ImageRef) error {
	names := spellings(i)
	if len(names) == 0 {
		return nil
	}
	native, err := st.conn.Native(ctx)
	if err != nil {
		return nil
	}
	if i.Platform != "" && !runsNatively(i.Platform, native) {
		return st.checkRunnable("image "+names[0]+" is wanted", i.Platform, native)
	}
	// The first image that the engine has is the one that Resolve takes.
	spec := engine.Spec{Name: "check", Image: i}
	for _, name := range localNames(i) {
		found, err := st.findLocal(ctx, name, spec)
		var fault *engine.Fault
		switch {
		case errors.As(err, &fault) && fault.Kind == engine.WrongArch:
			return fault
		case err == nil:
			st.remember(name, found.image)
			return nil
		}
	}
	return nil
}

// remember keeps the description of an image for the start that follows, so that the check takes
// no time.
func (st *Store) remember(name string, seen image.InspectResponse) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.seen = map[string]image.InspectResponse{name: seen}
}
