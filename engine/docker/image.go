package docker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/client"

	"github.com/buildlocal/buildlocal/engine"
)

// found is an image that is at the engine.
type found struct {
	name     string
	emulated bool
	native   string
	local    bool
	image    image.InspectResponse
	unseen   *wrongPlatform // what is shown in place of what is taken to be there
}

// missing is a fault where an image that was taken to be at the engine is not.
func (f found) missing(err error) error {
	if f.unseen == nil || !isGone(err) {
		return err
	}
	return f.unseen.pulled()
}

// need returns the first of the spellings that can be had.
func (e *Engine) need(ctx context.Context, s engine.Spec) (found, error) {
	var wrong *wrongPlatform
	var other error // an image of the name that is another one
	for _, name := range e.here(s) {
		f, err := e.local(ctx, name, s)
		if err == nil || !isGone(err) {
			return f, e.fault(err, "look at image "+name)
		}
		var notIt notThere
		if errors.As(err, &wrong) || errors.As(err, &notIt) {
			other = err
		}
	}
	names := strings.Join(e.spellings(s), " or ")
	if s.Image.Digest != "" {
		names += " with the digest " + s.Image.Digest
	}
	switch {
	case wrong != nil && (len(s.Image.Names) == 0 || s.Image.Pull == engine.PullNever):
		return found{}, &engine.Fault{Kind: engine.WrongArch, Message: wrong.Error(),
			Hint: "Pull it for that platform: docker pull --platform " + s.Image.Platform + " " + wrong.name + "."}
	case len(s.Image.Names) == 0:
		return found{}, &engine.Fault{Kind: engine.NoImage, Message: fmt.Sprintf("image %s is not at the engine, and no registry has it", names)}
	case s.Image.Pull == engine.PullNever:
		return found{}, &engine.Fault{Kind: engine.NoImage,
			Message: fmt.Sprintf("image %s not found locally and --pull is never", names),
			Hint:    "Pull it first, or run with --pull missing."}
	}
	var errs []error
	if other != nil {
		s.Hooks.Warnf("What is here is not it: %v.", other)
	}
	for _, name := range s.Image.Pinned() {
		f, err := e.fetch(ctx, name, s)
		if err == nil || ctx.Err() != nil {
			return f, err
		}
		errs = append(errs, err)
	}
	return found{}, worst(errs)
}

// fetch pulls an image and returns what came: a registry that has one platform
// only gives that, whatever it was asked for.
func (e *Engine) fetch(ctx context.Context, name string, s engine.Spec) (found, error) {
	if err := e.pull(ctx, name, s); err != nil {
		return found{}, err
	}
	f, err := e.local(ctx, name, s)
	var wrong *wrongPlatform
	if errors.As(err, &wrong) && wrong.among != nil {
		f, err = e.fitting(ctx, name, s, *wrong.among) // what came is not shown, and is taken to be it
		f.unseen = wrong
		return f, err
	}
	if errors.As(err, &wrong) {
		return found{}, wrong.pulled()
	}
	return f, e.fault(err, "look at image "+name)
}

// here returns the names that are looked for at the engine before any pull.
func (e *Engine) here(s engine.Spec) []string {
	if s.Image.Pull == engine.PullAlways && len(s.Image.Names) > 0 {
		return nil
	}
	return e.spellings(s)
}

// spellings returns all names of the image.
func (e *Engine) spellings(s engine.Spec) []string {
	if s.Image.Alias == "" {
		return s.Image.Names
	}
	return append([]string{s.Image.Alias}, s.Image.Names...)
}

// worst returns the error that says most: one that is not "no such image".
func worst(errs []error) error {
	for _, err := range errs {
		var f *engine.Fault
		if !errors.As(err, &f) || f.Kind != engine.NoImage {
			return err
		}
	}
	return errs[len(errs)-1]
}

// local returns an image that is at the engine, for the wanted platform.
func (e *Engine) local(ctx context.Context, name string, s engine.Spec) (found, error) {
	got, err := e.api.ImageInspect(ctx, name)
	if err != nil {
		return found{}, err
	}
	if s.Image.Digest != "" && got.ID != s.Image.Digest && !hasDigest(got.RepoDigests, s.Image.Digest) {
		return found{}, notThere("image " + name + " is " + cmp.Or(digestOf(got.RepoDigests, name), got.ID) + ", not " + s.Image.Digest)
	}
	has := platform(got.Os, got.Architecture, got.Variant)
	if s.Image.Platform != "" && !fits(has, s.Image.Platform) {
		wrong := &wrongPlatform{name: name, has: has, wanted: s.Image.Platform}
		if hasDigest(got.RepoDigests, got.ID) {
			got, err = e.among(ctx, name, s, got, wrong)
		} else {
			err = wrong
		}
	}
	if err != nil {
		return found{}, err
	}
	return e.fitting(ctx, name, s, got)
}

// among returns an image for the wanted platform out of several of its name: with the
// store of containerd an engine keeps those of a list together, under the digest of the
// list, and shows the machine's own. One that cannot be asked for another (before version
// 1.49 of the API) may have it all the same.
func (e *Engine) among(ctx context.Context, name string, s engine.Spec, shown image.InspectResponse, wrong *wrongPlatform) (image.InspectResponse, error) {
	p := platformOf(s)
	got, err := e.api.ImageInspect(ctx, name, client.ImageInspectWithPlatform(p))
	switch {
	case err == nil && fits(platform(got.Os, got.Architecture, got.Variant), s.Image.Platform):
		return got, nil
	case err != nil && strings.Contains(err.Error(), "requires API version"):
		shown.Os, shown.Architecture, shown.Variant = p.OS, p.Architecture, p.Variant
		wrong.among = &shown
	}
	return got, wrong
}

// fitting tells of an image for the wanted platform whether it is emulated.
func (e *Engine) fitting(ctx context.Context, name string, s engine.Spec, got image.InspectResponse) (found, error) {
	f := found{name: name, image: got}
	if got.Architecture == "" || s.Name == "" { // it is not to run
		return f, nil
	}
	has := platform(got.Os, got.Architecture, got.Variant)
	native, err := e.native(ctx)
	f.native, f.local = native, e.isHere() == nil
	if f.emulated = err == nil && !isNative(has, native); !f.emulated {
		return f, nil
	}
	return f, e.runs(name, has, native)
}

// wrongPlatform makes need go on as if the image were not there.
type wrongPlatform struct {
	name, has, wanted string
	among             *image.InspectResponse // as it is taken to be once it was pulled; nil where it is another for sure
}

func (w *wrongPlatform) Error() string {
	return fmt.Sprintf("image %s: it is for %s, not for %s", w.name, w.has, w.wanted)
}

// NotFound makes it an error of something that is not there.
func (w *wrongPlatform) NotFound() {}

// pulled is a fault where this is what came.
func (w *wrongPlatform) pulled() error {
	return &engine.Fault{Kind: engine.WrongArch, Message: "pull " + w.Error(),
		Hint: "The registry has this image for other platforms only: choose one with --platform, or another image."}
}

func platform(os, arch, variant string) string {
	if os == "" {
		os = "linux"
	}
	return strings.TrimSuffix(os+"/"+arch+"/"+variant, "/")
}

// fits reports whether an image for has runs as wanted; a variant counts only
// where both say one.
func fits(has, wanted string) bool {
	a, b := strings.Split(has, "/"), strings.Split(wanted, "/")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func (e *Engine) pull(ctx context.Context, name string, s engine.Spec) error {
	doing := "pull image " + name
	auth, err := e.auth(name)
	if err != nil {
		return &engine.Fault{Kind: engine.NoImage, Err: err, Message: fmt.Sprintf("%s: %v", doing, err),
			Hint: "An image is named REGISTRY/NAME:TAG; check the name, and the credential helper of the docker configuration."}
	}
	if err := e.hasRoom(ctx, name, s); err != nil {
		return err
	}
	stream, err := e.api.ImagePull(ctx, name, image.PullOptions{RegistryAuth: auth, Platform: s.Image.Platform})
	if err != nil {
		return e.pullFault(err, doing)
	}
	defer stream.Close()
	return e.pullFault(follow(stream, name, s.Hooks.ReportProgress), doing)
}

func (e *Engine) pullFault(err error, doing string) error {
	told := e.fault(err, doing)
	switch {
	case err == nil || isFault(told):
		return told
	case isGone(err):
		return &engine.Fault{Kind: engine.NoImage, Err: err, Message: doing + ": " + trim(err.Error()),
			Hint: "The image does not exist or requires a login: check the name, or run docker login."}
	}
	return &engine.Fault{Kind: engine.NoRegistry, Err: err, Message: doing + ": " + trim(err.Error()),
		Hint: "The registry or the way to it is out of order: try again, and try docker pull by hand."}
}

// auth returns the credentials for the image's registry, as the engine takes
// them: from the docker configuration and its helpers.
func (e *Engine) auth(name string) (string, error) {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", err
	}
	host := loginName(reference.Domain(ref))
	a, err := e.config.GetAuthConfig(host)
	if err != nil {
		return "", err
	}
	return registry.EncodeAuthConfig(registry.AuthConfig{
		Username: a.Username, Password: a.Password, Auth: a.Auth,
		ServerAddress: a.ServerAddress, IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken,
	})
}

// follow reads a pull's stream to its end and returns the error it holds.
func follow(stream io.Reader, name string, tell func(engine.Progress)) error {
	decoder := json.NewDecoder(stream)
	for {
		var line struct {
			Status   string `json:"status"`
			ID       string `json:"id"`
			Error    string `json:"error"`
			Progress struct {
				Current int64 `json:"current"`
				Total   int64 `json:"total"`
			} `json:"progressDetail"`
		}
		err := decoder.Decode(&line)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if line.Error != "" {
			return errors.New(line.Error)
		}
		tell(engine.Progress{Image: name, Layer: line.ID, Status: line.Status, Current: line.Progress.Current, Total: line.Progress.Total})
	}
}
