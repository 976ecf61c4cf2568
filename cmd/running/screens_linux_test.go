package running

import (
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/clitest"
	"github.com/buildlocal/buildlocal/local"
)

func TestPsTable_Screens(t *testing.T) {
	clitest.Screens(t, "ps", func(a *cli.App) error {
		began := func(d time.Duration) *time.Time { at := a.Now().Add(-d); return &at }
		screen := a.Screen()
		screen.Table(psTable(a, []shownResource{
			{Name: "14-5e6f7a8b", Project: "shop", State: local.StateRunning, Place: "build:2",
				Start: began(23 * time.Second), Source: "/home/me/src/shop"},
			{Name: "9-0a1b2c3d", Project: "api", State: local.StateKept, Start: began(2 * time.Hour),
				Source: "/home/me/src/" + strings.Repeat("a-long-directory/", 8) + "api"},
			{Name: "1-00000000", Project: "other", State: "killed", Source: "/srv/other"},
		}, false))
		return screen.Err()
	})
}
