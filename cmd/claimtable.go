package cmd

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/internal/diag"
)

// untrusted is the error for a file of the source that reaches the user, and that
// the user has not trusted. Its message is a whole screen.
type untrusted struct {
	file     string   // as the user would type it
	config   bool     // it is the configuration file, which can be left out
	harmless []string // the other settings of the file
	dir      string   // the source as the user named it
	command  string   // that was refused
	table    string   // of the claims
}

func (e *untrusted) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "error: %s came with this source and is not trusted; nothing started\n", e.file)
	b.WriteString("  it would\n" + e.table)
	if len(e.harmless) > 0 {
		fmt.Fprintf(&b, "  it also sets %s, which %s no trust\n", series(e.harmless), plural(len(e.harmless), "needs", "need"))
	}
	dir := ""
	if e.dir != "." {
		dir = " " + shellWord(e.dir)
	}
	fmt.Fprintf(&b, "hint: to allow exactly this file: buildlocal trust%s", dir)
	if !e.config {
		return b.String()
	}
	verb := "go on"
	if strings.HasSuffix(e.command, " run") {
		verb = "build"
	}
	fmt.Fprintf(&b, "\nhint: to %s without it: %s --no-config", verb, e.command)
	return b.String()
}

// How much of the parts of a claim is shown, in characters; a line of claims that would
// be wider than maxClaimLine takes two. Of a setting with many values only the first
// maxAlike are listed.
const (
	maxSettingShown = 60
	maxTargetShown  = 80
	maxClaimLine    = 80
	maxAlike        = 5
)

// claimTable lists the claims of a file, the furthest reaching first: the effect, the
// setting and its place.
func (a *App) claimTable(claims []config.Claim) string {
	var rows [][3]string
	var widths [3]int
	alike := map[string]int{}
	for _, c := range byReach(claims) {
		if key := alikeKey(c); alike[key] < maxAlike {
			row := [3]string{visible(c.Effect), a.shownSetting(c), visible(c.Place())}
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
		if widths[0]+widths[1]+widths[2]+gaps > maxClaimLine {
			fmt.Fprintf(&b, "  ! %s\n      %s: %s\n", row[0], row[2], row[1])
			continue
		}
		fmt.Fprintf(&b, "  ! %-*s  %-*s  %s\n", widths[0], row[0], widths[1], row[1], row[2])
	}
	for _, key := range slices.Sorted(maps.Keys(alike)) {
		if more := alike[key] - maxAlike; more > 0 {
			file, name, _ := strings.Cut(key, "\n")
			fmt.Fprintf(&b, "  ! and %d more of the same kind (%s in %s)\n", more, visible(name), visible(file))
		}
	}
	return b.String()
}

// alikeKey is the same for the values of one setting.
func alikeKey(c config.Claim) string {
	name, _, _ := strings.Cut(c.Setting, ":")
	if !strings.Contains(c.Setting, ": ") { // a name in an environment file
		name = "variables"
	}
	return c.File + "\n" + name
}

// byReach sorts claims by how far they reach, and keeps their order otherwise.
func byReach(claims []config.Claim) []config.Claim {
	order := []config.Reach{config.User, config.Writes, config.Reads, config.Variable}
	return slices.SortedStableFunc(slices.Values(claims), func(a, b config.Claim) int {
		return slices.Index(order, a.Rank) - slices.Index(order, b.Rank)
	})
}

// shownSetting is a setting as it is written, and where its path leads.
func (a *App) shownSetting(c config.Claim) string {
	text := cutMiddle(visible(c.Setting), maxSettingShown)
	if c.Target == "" {
		return text
	}
	return text + " → " + cutMiddle(visible(a.tilde(c.Target)), maxTargetShown)
}

// visible escapes invisible and ambiguous characters in a text
// that a stranger wrote and that the user decides by.
func visible(text string) string {
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

// cutMiddle shortens a text in its middle: of a path both ends matter.
func cutMiddle(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	half := (limit - 1) / 2
	return string(runes[:half]) + "…" + string(runes[len(runes)-half:])
}

// series joins words as a sentence does.
func series(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// shellWord quotes a word for a shell where that is necessary.
func shellWord(word string) string {
	if word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
