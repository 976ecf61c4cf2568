package settings

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
)

// untrusted is the error for a file of the source with claims that the user has not
// trusted. Its message is a whole screen: the user has to see what they would agree to.
type untrusted struct {
	file     string   // as the user would type it
	config   bool     // it is the configuration file, which --no-config ignores
	harmless []string // the other settings of the file
	dir      string   // the source as the user named it
	command  string   // the command that was refused
	table    string   // of the claims
}

// ScreenExitCode returns the exit code of a mistake in a file.
func (e *untrusted) ScreenExitCode() int { return cli.ExitInput }

// Error returns the screen: the claims, the settings that would be lost with --no-config,
// and the two ways to go on. Texts from the file are escaped already.
func (e *untrusted) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "error: %s came with this source and is not trusted; nothing started\n", e.file)
	b.WriteString("  it would\n" + e.table)
	if len(e.harmless) > 0 {
		fmt.Fprintf(&b, "  it also sets %s, which %s no trust\n", human.Series(e.harmless),
			human.Plural(len(e.harmless), "needs", "need"))
	}
	dir := ""
	if e.dir != "." {
		dir = " " + human.ShellWord(e.dir)
	}
	fmt.Fprintf(&b, "hint: to allow exactly this file: buildlocal trust%s", dir)
	if !e.config {
		return b.String()
	}
	command := e.command
	if command == "buildlocal" { // without a command, which has no flags
		command = "buildlocal run"
	}
	verb := "go on" // as for validate or doctor, which build nothing
	if strings.HasSuffix(command, " run") {
		verb = "build"
	}
	fmt.Fprintf(&b, "\nhint: to %s without it: %s --no-config", verb, command)
	return b.String()
}

// Limits of the table of claims. Lengths are in characters; a claim that would be wider
// than maxClaimLine takes two lines. MaxAlike is the number of values of one setting that
// are listed.
const (
	maxSettingShown = 60
	MaxTarget       = 80
	maxClaimLine    = 80
	MaxAlike        = 5
)

// ClaimTable returns a table of claims with effect, setting and place, the most powerful
// first.
func ClaimTable(a *cli.App, claims []config.Claim) string {
	var rows [][3]string
	var widths [3]int
	alike := map[string]int{}
	for _, c := range byReach(claims) {
		// A list of a thousand harmless variables must not scroll one dangerous claim away.
		if key := alikeKey(c); alike[key] < MaxAlike {
			row := [3]string{Visible(c.Effect), shownSetting(a, c), Visible(c.Place())}
			for j, cell := range row {
				widths[j] = max(widths[j], utf8.RuneCountInString(cell))
			}
			rows = append(rows, row)
		}
		alike[alikeKey(c)]++
	}
	const gaps = 8 // of a line with three columns
	var b strings.Builder
	for _, row := range rows {
		// If one row is too wide, all rows take two lines, so the columns stay aligned.
		if widths[0]+widths[1]+widths[2]+gaps > maxClaimLine {
			fmt.Fprintf(&b, "  ! %s\n      %s: %s\n", row[0], row[2], row[1])
			continue
		}
		fmt.Fprintf(&b, "  ! %-*s  %-*s  %s\n", widths[0], row[0], widths[1], row[1], row[2])
	}
	for _, key := range slices.Sorted(maps.Keys(alike)) {
		if more := alike[key] - MaxAlike; more > 0 {
			file, name, _ := strings.Cut(key, "\n")
			fmt.Fprintf(&b, "  ! and %d more of the same kind (%s in %s)\n", more, Visible(name), Visible(file))
		}
	}
	return b.String()
}

// alikeKey returns a key that is the same for all values of one setting.
func alikeKey(c config.Claim) string {
	name, _, _ := strings.Cut(c.Setting, ":")
	if !strings.Contains(c.Setting, ": ") { // a name in an environment file
		name = "variables"
	}
	return c.File + "\n" + name
}

// byReach sorts claims by the power of their effect. The order is stable.
func byReach(claims []config.Claim) []config.Claim {
	order := []config.Reach{config.User, config.Writes, config.Reads, config.Around, config.Variable}
	return slices.SortedStableFunc(slices.Values(claims), func(a, b config.Claim) int {
		return slices.Index(order, a.Rank) - slices.Index(order, b.Rank)
	})
}

// shownSetting returns a setting as it is written, with the target of its path: a link in
// the source may make a harmless name lead anywhere. Both are cut in the middle, because
// the ends of paths matter.
func shownSetting(a *cli.App, c config.Claim) string {
	text := human.CutMiddle(Visible(c.Setting), maxSettingShown)
	if c.Target == "" {
		return text
	}
	return text + " → " + human.CutMiddle(Visible(a.Tilde(c.Target)), MaxTarget)
}

// Visible escapes invisible and ambiguous characters in a text that a stranger wrote and
// that the user's decision depends on. Besides control characters these are spaces other
// than the usual one, marks that change the direction of writing, and unassigned characters.
func Visible(text string) string {
	var b strings.Builder
	for _, r := range diag.EscapeLine(text) {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return b.String()
}
