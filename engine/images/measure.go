package images

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/buildlocal/buildlocal/engine"
)

// Measure asks a registry for the size of an image for a platform, such as linux/amd64.
// Only its manifest is downloaded. If the image still has the digest have, not even that is
// downloaded, because registries count downloads, and only the digest is returned. login
// may be nil, and have empty.
func Measure(
	ctx context.Context,
	image, platform, have string,
	login func(registry string) (Login, error),
) (engine.ImageSize, error) {
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
	options := []remote.Option{
		remote.WithContext(ctx),
		remote.WithAuth(auth),
		remote.WithPlatform(*p),
		remote.WithUserAgent(userAgent),
	}
	if have != "" {
		// Docker Hub counts GET requests of manifests against its limit of pulls, and HEAD
		// requests not at all. If the registry does not support HEAD, the GET below decides.
		if now, err := remote.Head(ref, options...); err == nil && now.Digest.String() == have {
			return engine.ImageSize{Digest: have}, nil
		}
	}
	got, err := remote.Get(ref, options...)
	if err != nil {
		return engine.ImageSize{}, err
	}
	// For an image of several platforms, the library follows the index to the chosen one.
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

// sizeOf adds up the sizes of layers.
func sizeOf(digest string, layers []v1.Descriptor) engine.ImageSize {
	size := engine.ImageSize{Digest: digest}
	for _, l := range layers {
		size.Download += l.Size
	}
	size.Disk = engine.EstimateUnpacked(size.Download)
	return size
}

// authenticator returns the credentials for a registry. login may be nil.
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

// userAgent is sent to registries.
const userAgent = "buildlocal"
