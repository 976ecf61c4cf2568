package runner

import (
	"fmt"
	"strings"

	"github.com/buildlocal/buildlocal/secrets"
)

// MaskText replaces the plan's secrets in a text.
func (p *Plan) MaskText(text string) string { return secrets.NewMask(p.secrets()...).Text(text) }

// LimitText describes the limits of the build for the user, such as "at most 2 vCPU".
func (p *Plan) LimitText() string {
	var notes []string
	if p.Limits.CPUs > 0 {
		notes = append(notes, fmt.Sprintf("%g vCPU", p.Limits.CPUs))
	}
	if p.Limits.Memory > 0 {
		notes = append(notes, fmt.Sprintf("%dGiB of memory", p.Limits.Memory>>30))
	}
	return "at most " + strings.Join(notes, ", ")
}

// CacheMode describes the effect of a mode of a LOCAL cache.
func (p *Plan) CacheMode(mode string) string {
	switch {
	case mode == SourceCache:
		return "git objects of the source are used directly"
	case p.CachePlace == "":
		return "not kept: --no-cache"
	case mode == CustomCache:
		return "directories of cache.paths are kept on the host"
	case !p.Privileged:
		return "no effect: the build is not privileged"
	}
	return "layers of the build's Docker engine are kept on the host"
}
