// Package image finds, pulls and removes images of a Docker engine.
//
// [Store.Resolve] selects the image of a build: the first spelling that the engine has, for
// the right platform and with the right digest, or else the first that can be pulled.
// [Store.CheckSpace] runs before a pull. Nothing is started, except that ReadImageFile
// creates a container that never runs.
package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker/conn"
)

// Store has the images of an engine.
type Store struct {
	conn    *conn.Engine
	measure Measure

	mu   sync.Mutex
	seen map[string]image.InspectResponse // by CheckPlatform, for the next look at the image
}

// Measure asks a registry for the size of an image for a platform. If have is the digest
// of that image, it need not return more than the digest.
type Measure func(ctx context.Context, image, platform, have string) (engine.ImageSize, error)

// New returns the images of an engine. Sizes are not checked before a pull if measure is
// nil.
func New(c *conn.Engine, measure Measure) *Store { return &Store{conn: c, measure: measure} }

// Local is an image that the engine has.
type Local struct {
	Name string // by which the engine creates a container from it
	// emulated means that native programs are of another architecture; native is the platform of the
	// engine's host.
	emulated bool
	native   string
	local    bool
	image    image.InspectResponse
	// unseen is set if the engine pulled an image for another platform than its own, but
	// its API is too old to show that image. The fields of image are then a guess.
	unseen *wrongPlatform
}

// NotFoundErr returns the fault for an error of creating a container: if the guess of
// unseen was wrong, the engine does not find the image.
func (l Local) NotFoundErr(err error) error {
	if l.unseen == nil || !conn.IsNotFound(err) {
		return err
	}
	return l.unseen.pulled()
}

// About describes the image.
func (l Local) About() engine.Image {
	created, _ := time.Parse(time.RFC3339Nano, l.image.Created)
	return engine.Image{
		Name: l.Name, ID: l.image.ID, Digest: digestOf(l.image.RepoDigests, l.Name), Size: l.image.Size, Created: created,
		Platform: platformOf(l.image), Emulated: l.emulated, Native: l.native, Local: l.local,
	}
}

// platformOf returns the platform of an image.
func platformOf(i image.InspectResponse) string {
	return conn.Platform(i.Os, i.Architecture, i.Variant)
}

// Need returns the image of a spec, and pulls it if necessary. The errors are those of
// engine.Engine.Start. If the spec has no name, no container will be created, and it is
// not checked whether the engine's host can run the image.
func (st *Store) Need(ctx context.Context, spec engine.Spec) (engine.Image, error) {
	l, err := st.Resolve(ctx, spec)
	if err != nil {
		return engine.Image{}, conn.CauseOr(ctx, err)
	}
	return l.About(), nil
}

// Resolve is Need for the driver itself.
func (st *Store) Resolve(ctx context.Context, s engine.Spec) (Local, error) {
	var wrong *wrongPlatform
	var unusable error // why a local image with one of the names is not the one
	// Local images come first: a pull needs a network, and may change what a build runs in.
	for _, name := range localNames(s.Image) {
		l, err := st.findLocal(ctx, name, s)
		if err == nil || !conn.IsNotFound(err) {
			return l, st.conn.Fault(err, "look at image "+name)
		}
		var notUsable notUsable
		if errors.As(err, &wrong) || errors.As(err, &notUsable) {
			unusable = err
		}
	}
	if err := notPulled(s.Image, wrong); err != nil {
		return Local{}, err
	}
	if unusable != nil {
		s.Hooks.Warnf("Local image not used: %v.", unusable)
	}
	var errs []error
	for _, name := range s.Image.Pinned() {
		l, err := st.pullAndFind(ctx, name, s)
		if err == nil || ctx.Err() != nil {
			return l, err
		}
		errs = append(errs, err)
	}
	return Local{}, engine.MostSpecific(errs)
}

// notPulled returns a fault if an image that was not found locally must not be pulled.
func notPulled(r engine.ImageRef, wrong *wrongPlatform) error {
	names := strings.Join(spellings(r), " or ")
	if r.Digest != "" {
		names += " with the digest " + r.Digest
	}
	switch {
	case wrong != nil && (len(r.Names) == 0 || r.Pull == engine.PullNever):
		return &engine.Fault{Kind: engine.WrongArch, Message: wrong.Error(),
			Hint: "Pull it for that platform: docker pull --platform " + r.Platform + " " + wrong.name + "."}
	case len(r.Names) == 0:
		return &engine.Fault{Kind: engine.NoImage,
			Message: fmt.Sprintf("image %s not found locally, and it is not in any registry", names)}
	case r.Pull == engine.PullNever:
		return &engine.Fault{Kind: engine.NoImage,
			Message: fmt.Sprintf("image %s not found locally and --pull is never", names),
			Hint:    "Pull it first, or run with --pull missing."}
	}
	return nil
}

// pullAndFind pulls an image and returns it. The result is checked again, because a
// registry that has an image for one platform only returns it whatever was requested.
func (st *Store) pullAndFind(ctx context.Context, name string, s engine.Spec) (Local, error) {
	if err := st.pull(ctx, name, s); err != nil {
		return Local{}, err
	}
	l, err := st.findLocal(ctx, name, s)
	var wrong *wrongPlatform
	if errors.As(err, &wrong) && wrong.assumed != nil {
		l, err = st.describe(ctx, name, s, *wrong.assumed)
		l.unseen = wrong
		return l, err
	}
	if errors.As(err, &wrong) {
		return Local{}, wrong.pulled()
	}
	return l, st.conn.Fault(err, "look at image "+name)
}

// localNames returns the names to look for before any pull.
func localNames(r engine.ImageRef) []string {
	if r.Pull == engine.PullAlways && len(r.Names) > 0 {
		return nil
	}
	return spellings(r)
}

// spellings returns all names of an image, with its alias first.
func spellings(r engine.ImageRef) []string {
	if r.Alias == "" {
		return r.Names
	}
	return append([]string{r.Alias}, r.Names...)
}

// findLocal returns an image that the engine has, with the digest and for the platform of
// the spec. Errors for which conn.IsNotFound is true mean that it does not have it.
func (st *Store) findLocal(ctx context.Context, name string, s engine.Spec) (Local, error) {
	got, err := st.inspect(ctx, name)
	if err != nil {
		return Local{}, err
	}
	digest, wanted := s.Image.Digest, s.Image.Platform
	// An image that was built locally has no registry digest, but its ID can be used as one.
	if digest != "" && got.ID != digest && !hasDigest(got.RepoDigests, digest) {
		has := cmp.Or(digestOf(got.RepoDigests, name), got.ID)
		return Local{}, notUsable("image " + name + " has the digest " + has + ", not " + digest)
	}
	if has := platformOf(got); wanted != "" && !platformMatches(has, wanted) {
		wrong := &wrongPlatform{name: name, has: has, wanted: wanted}
		if !hasDigest(got.RepoDigests, got.ID) {
			return Local{}, wrong
		}
		if got, err = st.findPlatform(ctx, name, got, wrong); err != nil {
			return Local{}, err
		}
	}
	return st.describe(ctx, name, s, got)
}

// inspect returns what the engine knows of an image, or what CheckPlatform has just seen.
func (st *Store) inspect(ctx context.Context, name string) (image.InspectResponse, error) {
	st.mu.Lock()
	got, seen := st.seen[name]
	delete(st.seen, name) // it may change later
	st.mu.Unlock()
	if seen {
		return got, nil
	}
	return st.conn.API.ImageInspect(ctx, name)
}

// findPlatform returns the image for the wanted platform out of several with one name. With
// containerd's store, an engine keeps all platforms of an index under the digest of the
// index, and shows the image for its own platform. An engine whose API is older than 1.49
// cannot show another one, but may have it; wrong.assumed is then set.
func (st *Store) findPlatform(
	ctx context.Context, name string, shown image.InspectResponse, wrong *wrongPlatform,
) (image.InspectResponse, error) {
	p := conn.ParsePlatform(wrong.wanted)
	got, err := st.conn.API.ImageInspect(ctx, name, client.ImageInspectWithPlatform(p))
	switch {
	case err == nil && platformMatches(platformOf(got), wrong.wanted):
		return got, nil
	case err != nil && strings.Contains(err.Error(), "requires API version"):
		shown.Os, shown.Architecture, shown.Variant = p.OS, p.Architecture, p.Variant
		wrong.assumed = &shown
	}
	return got, wrong
}

// describe completes the description of an image, and returns a fault if the engine's host
// cannot run it.
func (st *Store) describe(ctx context.Context, name string, s engine.Spec, got image.InspectResponse) (Local, error) {
	l := Local{Name: name, image: got}
	// Old images have no architecture.
	if got.Architecture == "" || s.Name == "" { // no container will be created
		return l, nil
	}
	has := platformOf(got)
	native, err := st.conn.Native(ctx)
	l.native, l.local = native, st.conn.CheckLocal() == nil
	if l.emulated = err == nil && !runsNatively(has, native); !l.emulated {
		return l, nil
	}
	return l, st.checkRunnable("image "+name+" is", has, native)
}

// wrongPlatform is the error of an image for another platform. It counts as not found, so
// that the next spelling is tried or the image is pulled.
type wrongPlatform struct {
	name, has, wanted string
	// the image that a pull is assumed to have stored; nil if the platform is certainly wrong
	assumed *image.InspectResponse
}

// Error names both platforms.
func (w *wrongPlatform) Error() string {
	return fmt.Sprintf("image %s: it is for %s, not for %s", w.name, w.has, w.wanted)
}

// NotFound makes conn.IsNotFound true.
func (w *wrongPlatform) NotFound() {}

// pulled returns the fault if a pull resulted in this.
func (w *wrongPlatform) pulled() error {
	return &engine.Fault{Kind: engine.WrongArch, Message: "pull " + strings.TrimPrefix(w.Error(), "image "),
		Hint: "Select another platform with --platform, or another image: the registry does not have it for this one."}
}

// notUsable is the error of a local image with another digest. It counts as not found.
type notUsable string

// Error returns the reason.
func (n notUsable) Error() string { return string(n) }

// NotFound makes conn.IsNotFound true.
func (notUsable) NotFound() {}

// platformMatches reports whether an image for one platform satisfies a request for
// another. Variants are compared only if both have one.
func platformMatches(has, wanted string) bool {
	a, b := strings.Split(has, "/"), strings.Split(wanted, "/")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// digestOf returns the digest of an image in the registry of name, or "" if it is unknown.
func digestOf(repoDigests []string, name string) string {
	name = familiar(engine.Repository(name))
	for _, r := range repoDigests {
		if repository, digest, _ := strings.Cut(r, "@"); familiar(repository) == name {
			return digest
		}
	}
	return ""
}

// familiar returns the name of an image as the engine lists it: node, not
// docker.io/library/node.
func familiar(name string) string {
	if ref, err := reference.ParseNormalizedNamed(name); err == nil {
		return reference.FamiliarString(ref)
	}
	return name
}

// hasDigest reports whether any registry has the image with a digest.
func hasDigest(repoDigests []string, digest string) bool {
	return slices.ContainsFunc(repoDigests, func(r string) bool { return strings.HasSuffix(r, "@"+digest) })
}
