// Package affected decides which phase of a build is the first that changed source files can affect,
// so that a build can go on from a snapshot before it.
//
// The files that a phase reads are known from one of three kinds of evidence. Seen: an earlier build
// recorded the files that were opened. Said: the user lists them in the setting inputs. Guessed: the
// commands name them, or are known to read certain files, such as those of package managers. A
// guess errs on the side of running too much: a program that is not known may read every file.
package affected

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// Phase is a phase with commands, in the order in which phases run.
type Phase struct {
	Name     string   // as the service writes it, such as PRE_BUILD
	Commands []string // the texts of its commands and of finally
	// Said are the patterns that the user lists; nil if there is no list. An empty list means that the
	// phase reads no file of the source.
	Said []string
	Seen *Opened // nil if nothing was recorded
}

// Opened are the files that a phase used in an earlier build, as paths below the source.
type Opened struct {
	Files []string // were opened
	Dirs  []string // were listed; "." is the source itself
}

// Kind says how a file changed.
type Kind string

// The kinds of changes.
const (
	Added   Kind = "added"
	Changed Kind = "changed"
	Removed Kind = "removed"
	// Commit is no file: the commit or the branch of the source changed. It counts only for a phase that
	// uses it, such as for the tag of an image.
	Commit Kind = "commit"
)

// theCommit is such a change in a reason.
var theCommit = Change{"the commit", Changed}

// Change is a file of the source that changed. Name is its path below the source, with slashes.
type Change struct {
	Name string
	Kind Kind
}

// Evidence says why a phase is known to read a file, or not to.
type Evidence string

// The kinds of evidence.
const (
	Seen    Evidence = "seen"
	Said    Evidence = "said"
	Guessed Evidence = "guessed"
)

// Decision is the first phase that the changes can affect.
type Decision struct {
	Phase    int      // index of the phase; the number of phases if none is affected
	Name     string   // of the phase; "" if none is affected
	File     string   // the changed file that decides, the first one if no phase is affected; "" without changes
	Evidence Evidence // the weakest evidence that the decision is based on
	// Reason is a sentence for the user without a full stop, such as "src/a.go changed; INSTALL does not
	// name it (guessed)".
	Reason string
	// Cause is a sentence of the same kind: why the phase itself is affected. "" if none is.
	Cause string
}

// verdict is the result for one phase.
type verdict struct {
	evidence Evidence
	file     Change // the changed file that affects it; the zero value if none does
	why      string // completes "FILE changed; ", for a phase that is affected
}

// First returns the first phase that the changes can affect. source has the files after the changes;
// scripts that the commands name are read from it. It may be nil.
func First(phases []Phase, changes []Change, source fs.FS) Decision {
	if len(changes) == 0 {
		return Decision{Phase: len(phases), Reason: "no file changed"}
	}
	isCommit := func(c Change) bool { return c.Kind == Commit }
	commit := slices.ContainsFunc(changes, isCommit)
	changes = slices.DeleteFunc(slices.Clone(changes), isCommit)
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Name, b.Name) })
	g := newGuesser(source)
	var passed []verdict
	for i, phase := range phases {
		v := judge(g, phase, changes)
		if why := g.usesCommit(phase); commit && v.file.Name == "" && why != "" {
			v, changes = verdict{Guessed, theCommit, phase.Name + " " + why}, append([]Change{theCommit}, changes...)
		}
		if v.file.Name != "" {
			return decision(phases, i, append(passed, v), changes)
		}
		passed = append(passed, v)
	}
	if len(changes) == 0 {
		return Decision{Phase: len(phases), Reason: "no file changed"}
	}
	return decision(phases, len(phases), passed, changes)
}

// judge finds the first change that affects a phase. The user's own list counts more than files that
// one build opened, and both count more than a guess.
func judge(g *guesser, phase Phase, changes []Change) verdict {
	// Also without a guess: commands may change the directory for later phases.
	guess := g.phase(phase.Commands)
	for _, c := range changes {
		switch {
		case phase.Said != nil:
			if matchesAny(phase.Said, c.Name) {
				return verdict{Said, c, "it is in the inputs of " + phase.Name}
			}
		case phase.Seen != nil:
			if why := phase.Seen.uses(c, changes, g.source); why != "" {
				return verdict{Seen, c, phase.Name + " " + why}
			}
		default:
			if why := guess.reads(c.Name); why != "" {
				return verdict{Guessed, c, phase.Name + " " + why}
			}
		}
	}
	switch {
	case phase.Said != nil:
		return verdict{evidence: Said}
	case phase.Seen != nil:
		return verdict{evidence: Seen}
	}
	return verdict{evidence: Guessed}
}

// matchesAny reports whether a file matches a pattern, or is below a directory that does.
func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, name) })
}

// matches reports whether a file matches a pattern, or is below a directory that does.
func matches(pattern, name string) bool {
	pattern = path.Clean(pattern)
	return pattern == "." || tree.Match(pattern, name) || tree.Match(pattern+"/**/*", name)
}

// uses returns how a change concerns a phase, or "". A file that is added or removed concerns those
// who listed its directory too.
func (o *Opened) uses(c Change, all []Change, source fs.FS) string {
	if slices.Contains(o.Files, c.Name) {
		return "opened it"
	}
	if c.Kind == Changed {
		return ""
	}
	for dir := path.Dir(c.Name); ; dir = path.Dir(dir) {
		if slices.Contains(o.Dirs, dir) {
			return "listed its directory"
		}
		// A directory that came or went with the file is an entry of the one above.
		if dir == "." || !isNew(dir, all, source) {
			return ""
		}
	}
}

// isNew reports whether a directory does not exist any more, or has only files that were added.
func isNew(dir string, all []Change, source fs.FS) bool {
	if source == nil {
		return true
	}
	entries, err := fs.ReadDir(source, dir)
	if err != nil {
		return true
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		added := func(c Change) bool {
			return c.Kind == Added && (c.Name == name || strings.HasPrefix(c.Name, name+"/"))
		}
		if !slices.ContainsFunc(all, added) {
			return false
		}
	}
	return true
}

// decision describes the phase with an index, by the verdicts of all phases up to it.
func decision(phases []Phase, at int, verdicts []verdict, changes []Change) Decision {
	d := Decision{Phase: at, File: changes[0].Name, Evidence: Seen}
	for _, v := range verdicts {
		d.Evidence = weaker(d.Evidence, v.evidence)
	}
	if at < len(phases) {
		v := verdicts[at]
		d.Name, d.File = phases[at].Name, v.file.Name
		d.Cause = becomes(v.file) + "; " + v.why + parenthesis(v.evidence)
	}
	subject := d.File
	many := len(changes) > 1
	if many {
		subject += " and " + human.Count(len(changes)-1, "other file")
	}
	subject += " changed; "
	if !many {
		subject = becomes(changes[0]) + "; "
	}
	// The phases before it are left out, so the user has to know why.
	if at > 0 {
		d.Reason = subject + passes(phases[:at], verdicts, many)
		return d
	}
	if len(phases) == 0 {
		d.Evidence = Guessed
		d.Reason = subject + "no phase has commands"
		return d
	}
	d.Reason = d.Cause
	return d
}

// becomes describes a change: "a.go changed", "a.go was added".
func becomes(c Change) string {
	if c.Kind == Changed {
		return c.Name + " changed"
	}
	return c.Name + " was " + string(c.Kind)
}

// passes says why phases are not affected: INSTALL and PRE_BUILD did not open it (seen).
func passes(phases []Phase, verdicts []verdict, many bool) string {
	object := "it"
	if many {
		object = "them"
	}
	var parts []string
	for _, evidence := range []Evidence{Seen, Said, Guessed} {
		var names []string
		for i, p := range phases {
			if verdicts[i].evidence == evidence {
				names = append(names, p.Name)
			}
		}
		if len(names) == 0 {
			continue
		}
		verb := map[Evidence]string{
			Seen:    "did not open " + object,
			Said:    human.Plural(len(names), "does", "do") + " not have " + object + " in the setting inputs",
			Guessed: human.Plural(len(names), "does", "do") + " not name " + object,
		}[evidence]
		parts = append(parts, human.Series(names)+" "+verb+parenthesis(evidence))
	}
	return strings.Join(parts, ", ")
}

func parenthesis(e Evidence) string { return " (" + string(e) + ")" }

// weaker returns the evidence that proves less.
func weaker(a, b Evidence) Evidence {
	order := []Evidence{Guessed, Said, Seen}
	if slices.Index(order, a) < slices.Index(order, b) {
		return a
	}
	return b
}
