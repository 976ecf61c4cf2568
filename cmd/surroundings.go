package cmd

import (
	"context"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
)

// proxies are those of this machine that the build reaches.
func (g *found) proxies(a *App) []project.Variable {
	all := runner.Proxies(a.LookupEnv)
	at := slices.IndexFunc(all, func(v project.Variable) bool { return runner.Loopback(v.Value) })
	if !g.apart || at < 0 {
		return all
	}
	fmt.Fprintf(a.Stderr, "%s points to a loopback address that containers cannot reach; not passed to the build.\n", all[at].Name)
	return nil
}

// readCertificates reads what a build trusts besides its image.
func (g *found) readCertificates(ctx context.Context, _ *App, f *runFlags) error {
	if f.caBundle == "" {
		return nil
	}
	text, err := regular.ReadNamed(ctx, f.caBundle, maxDocument)
	if err != nil {
		return usagef("read the certificates: %w", err)
	}
	certificates := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case strings.Contains(block.Type, "PRIVATE KEY"):
			return usagef("--ca-bundle: %s holds a private key, which a build must not get; leave only certificates in it", f.caBundle)
		case strings.HasSuffix(block.Type, "CERTIFICATE"):
			certificates++
		}
	}
	if certificates == 0 {
		return usagef("--ca-bundle: %s has no certificate; expected PEM, lines that begin with -----BEGIN CERTIFICATE-----", f.caBundle)
	}
	g.certificates = text
	return nil
}
