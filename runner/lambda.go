package runner

import (
	"fmt"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/compute"
)

// Limits of builds on Lambda compute (documented): they last at most 15 minutes, have no
// Docker, do not run as root, and can write to /tmp only, where the source is (observed).
const (
	lambdaOutput  = "/tmp/codebuild/output"
	lambdaTimeout = 15 * time.Minute
	// lambdaUser runs the commands (observed in functions). No image has a name for it.
	lambdaUser = "993:990"
)

// Lambda reports whether the build runs on Lambda compute.
func (p *Plan) Lambda() bool { return compute.IsLambda(p.EnvironmentType) }

// outputDir returns the directory of all sources.
func (p *Plan) outputDir() string {
	if p.Lambda() {
		return lambdaOutput
	}
	return outputDir
}

// applyLambdaLimits removes features that Lambda compute does not have. requested is the
// timeout of the user or the project, 0 if it is not set.
func (p *Plan) applyLambdaLimits(requested time.Duration) {
	if !p.Lambda() {
		return
	}
	if requested > lambdaTimeout {
		p.Notes = append(p.Notes, "Builds on Lambda are limited to 15 minutes.")
	}
	p.Timeout = min(p.Timeout, lambdaTimeout)
	if p.Privileged || p.Socket {
		p.Privileged, p.Socket = false, false
		p.Notes = append(p.Notes, "Docker is not available in builds on Lambda: --privileged and --docker are ignored.")
	}
}

// lambdaCommands returns commands that give the source to lambdaUser and make other
// directories read-only.
func (p *Plan) lambdaCommands() []string {
	var tops []string
	for _, s := range p.Sources {
		tops = append(tops, s.Top)
	}
	return []string{
		fmt.Sprintf("chown -R %s %s", lambdaUser, strings.Join(tops, " ")),
		"chmod o-w /var/tmp /run/lock",
	}
}
