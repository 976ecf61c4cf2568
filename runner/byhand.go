package runner

import (
	"strings"

	"github.com/buildlocal/buildlocal/internal/human"
)

// HandKind is a kind of change that a user makes to a build that is stopped.
type HandKind string

// The changes. Their texts are those of the summary: "2 commands retried".
const (
	HandRetry  HandKind = "command retried"
	HandEdit   HandKind = "command edited"
	HandSkip   HandKind = "command skipped"
	HandIgnore HandKind = "failure ignored"
	HandGoto   HandKind = "jump"
	HandRun    HandKind = "command run"
	HandShell  HandKind = "shell"
	HandSet    HandKind = "variable set"
	HandEnter  HandKind = "change of directory"
	HandCopy   HandKind = "copy into the build"
	HandSync   HandKind = "sync of the source"
	HandLimit  HandKind = "lifted time limit"
	HandForce  HandKind = "snapshot that does not fit"
	HandStep   HandKind = "command stepped through"
)

// HandChange is one change that a user made by hand.
type HandChange struct {
	Kind HandKind `json:"kind"`
	At   string   `json:"at"`             // where the build was, see Event.At
	Text string   `json:"text,omitempty"` // such as the command or the name of a variable
}

// ByHandText sums changes up, such as "2 commands retried, 1 variable set".
func ByHandText(changes []HandChange) string {
	var kinds []HandKind
	count := map[HandKind]int{}
	for _, c := range changes {
		if count[c.Kind]++; count[c.Kind] == 1 {
			kinds = append(kinds, c.Kind)
		}
	}
	var all []string
	for _, kind := range kinds {
		noun, rest, _ := strings.Cut(string(kind), " ")
		text := human.Count(count[kind], noun)
		if noun == "copy" && count[kind] > 1 {
			text = strings.TrimSuffix(text, "copys") + "copies"
		}
		all = append(all, strings.TrimSpace(text+" "+rest))
	}
	return strings.Join(all, ", ")
}

// byHand records a change by the user.
func (b *build) byHand(kind HandKind, at, text string) {
	b.rec.update(func(r *Record) { r.ByHand = append(r.ByHand, HandChange{kind, at, text}) })
	b.rec.notify(Event{Kind: ChangedByHand, Text: strings.TrimSpace(string(kind) + " " + text), At: at})
}

// changedByHand reports whether the user has changed the build, so that it differs from its
// buildspec.
func (rec *recorder) changedByHand() bool {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return len(rec.record.ByHand) > 0
}
