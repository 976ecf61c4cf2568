package images

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/buildlocal/buildlocal/engine"
)

// Measure asks a registry how large an image is for a platform such as linux/amd64, and
// downloads nothing but its manifest. Where it is still the one with the digest have, such
// as sha256:..., not even that, which registries count: only the digest is returned. Login
// may be nil, and have empty.
func Measure(ctx context.Context, image, platform, have string, login func(registry string) (Login, error)) (engine.ImageSize, error) {
	ref, err := name.ParseReference(image)
	if err != nil {
		return engine.ImageSize{}, err
	}
	auth, err := authenticator(login, ref.Context().RegistryStr())
	if err != nil {
		return engine.ImageSize{}, err
	}
	p, err := v1.ParsePlatform(platform)
	if err != nil {
		return engine.ImageSize{}, err
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuth(auth), remote.WithPlatform(*p), remote.WithUserAgent(agent)}
	if have != "" {
		if now, err := remote.Head(ref, options...); err == nil && now.Digest.String() == have {
			return engine.ImageSize{Digest: have}, nil
		}
	}
	got, err := remote.Get(ref, options...)
	if err != nil {
		return engine.ImageSize{}, err
	}
	found, err := got.Image()
	if err != nil {
		return engine.ImageSize{}, err
	}
	manifest, err := found.Manifest()
	if err != nil {
		return engine.ImageSize{}, err
	}
	return sizeOf(got.Digest.String(), manifest.Layers), nil
}

// sizeOf adds layers up.
func sizeOf(digest string, layers []v1.Descriptor) engine.ImageSize {
	size := engine.ImageSize{Digest: digest}
	for _, l := range layers {
		size.Download += l.Size
	}
	size.Disk = engine.EstimateUnpacked(size.Download)
	return size
}

// authenticator logs in as login says; nil is nobody.
func authenticator(login func(registry string) (Login, error), registry string) (authn.Authenticator, error) {
	if login == nil {
		return authn.Anonymous, nil
	}
	l, err := login(registry)
	if err != nil {
		return nil, fmt.Errorf("log in at %s: %w", registry, err)
	}
	if l == (Login{}) {
		return authn.Anonymous, nil
	}
	return authn.FromConfig(authn.AuthConfig{
		Username: l.Username, Password: l.Password, IdentityToken: l.IdentityToken, RegistryToken: l.RegistryToken,
	}), nil
}

// agent is what registries are told we are.
const agent = "buildlocal"
