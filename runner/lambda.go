package runner

import (
	"fmt"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/compute"
)

// Builds on Lambda (documented): they last 15 minutes, have no docker, are not root's,
// and can write to /tmp only, where the source is (observed).
const (
	lambdaOutput  = "/tmp/codebuild/output"
	lambdaTimeout = 15 * time.Minute
	// lambdaUser is who runs commands, as it was seen in functions; no image has a name
	// for it.
	lambdaUser = "993:990"
)

// Lambda reports whether the build is one on Lambda.
func (p *Plan) Lambda() bool { return compute.IsLambda(p.EnvironmentType) }

// outputDir is below what sources are.
func (p *Plan) outputDir() string {
	if p.Lambda() {
		return lambdaOutput
	}
	return outputDir
}

// lambda takes away what a build on Lambda does not have; asked is the time that somebody
// wants, 0 for none.
func (p *Plan) lambda(asked time.Duration) {
	if !p.Lambda() {
		return
	}
	if asked > lambdaTimeout {
		p.Notes = append(p.Notes, "Builds on Lambda are limited to 15 minutes.")
	}
	p.Timeout = min(p.Timeout, lambdaTimeout)
	if p.Privileged || p.Socket {
		p.Privileged, p.Socket = false, false
		p.Notes = append(p.Notes, "Docker is not available in builds on Lambda: --privileged and --docker are ignored.")
	}
}

// lambdaCommands give the source to who runs a build on Lambda, and leave no other place
// to write to.
func (b *build) lambdaCommands() []string {
	var tops []string
	for _, s := range b.plan.Sources {
		tops = append(tops, s.Top)
	}
	return []string{
		fmt.Sprintf("chown -R %s %s", lambdaUser, strings.Join(tops, " ")),
		"chmod o-w /var/tmp /run/lock",
	}
}
