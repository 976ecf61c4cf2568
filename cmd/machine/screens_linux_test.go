package machine

import (
	"testing"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/clitest"
)

func TestPrintFindings_Screens(t *testing.T) {
	clitest.Screens(t, "doctor", func(a *cli.App) error {
		return printFindings(a.Screen(), []finding{
			{Check: engineCheck, Verdict: verdictOK, Message: "builds run here with docker, sandbox and host"},
			{Check: "docker", Verdict: verdictOK, Message: "20.10.24 at unix:///var/run/docker.sock; 2 CPUs, 23.5GiB"},
			{Check: "disk", Verdict: verdictWarn,
				Message: "2.5GB free in /var/lib/docker, 72.5GB free in /tmp, 72.5GB free in /home/me/.cache/buildlocal/images",
				Fix:     "Free space there, or move the directory of Docker's data to another disk."},
			{Check: "credentials", Verdict: verdictInfo,
				Message: "none; only --aws, --aws-credentials and a cache in a bucket need them",
				Fix:     "aws sso login, or aws configure"},
			{Check: "buildspec", Verdict: verdictFail, Message: `buildspec.yml:7:3: error: unknown phase "instal"`,
				Notes: []string{"a note"}, Fix: "buildlocal validate --fix"},
		})
	})
}
