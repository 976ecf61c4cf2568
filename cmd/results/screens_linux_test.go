package results

import (
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/clitest"
	"github.com/buildlocal/buildlocal/runner"
)

// somePast are builds of every state, one of them with long texts.
func somePast(now time.Time) []pastBuild {
	image := "aws/codebuild/amazonlinux-x86_64-standard:5.0"
	ms := func(n int64) *int64 { return &n }
	return []pastBuild{
		{Number: 13, Status: stateRunning, Start: now.Add(-23 * time.Second), Image: &image},
		{Number: 12, Status: runner.Failed, Start: now.Add(-3 * time.Minute), Duration: ms(31200), Image: &image,
			Commit: "1a2b3c4d5e6f", Branch: "main", Subject: "Round prices half up, which is usual in commerce",
			Command: "build:2", Exit: 1, Tests: &pastTests{214, 212}},
		{Number: 11, Status: runner.Succeeded, Start: now.Add(-20 * time.Minute), Duration: ms(29800), Image: &image,
			Commit: "1a2b3c4d5e6f", Branch: "feature/a-branch-with-a-name", Subject: "Empty carts", Tests: &pastTests{214, 214}},
		{Number: 10, Status: runner.Stopped, Start: now.Add(-2 * time.Hour), Duration: ms(4000), Command: "install:1",
			Place: "this host's tools, not CodeBuild's image"},
		{Number: 9, Status: runner.Fault, Start: now.Add(-48 * time.Hour), Duration: ms(200), Phase: "PROVISIONING",
			message: "pull node:22: cannot resolve registry-1.docker.io " + strings.Repeat("and more ", 20), Image: &image},
		{Number: 8, Status: runner.TimedOut, Start: now.Add(-150 * time.Hour), Duration: ms(3600000), Command: "build:1"},
		{Number: 7, Status: stateKilled},
	}
}

func TestBuildsTable_Screens(t *testing.T) {
	clitest.Screens(t, "builds", func(a *cli.App) error {
		all := somePast(a.Now())
		screen := a.Screen()
		screen.Table(buildsTable(all, a.Now()))
		screen.Printf("%s", screen.Sparkline(durations(all))+"  "+tally(all))
		return screen.Err()
	})
}
