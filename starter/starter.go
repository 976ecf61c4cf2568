// Package starter writes the first buildspec of a directory: it finds the languages by the
// files of their package managers, and has the commands of each.
package starter

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Part is what one language adds to a buildspec.
type Part struct {
	Language  string
	Files     []string // by which it was found
	Runtime   string   // name in runtime-versions; "" without one
	Version   string   // of the runtime
	From      string   // where the version comes from; "" for the newest
	Install   []string // commands
	Build     []string
	Artifacts []string // patterns
	Cache     []string // directories, as patterns
	Reports   []string // patterns of JUnit files
}

// Runtimes has the versions of each runtime that images offer, such as nodejs: 20, 22.
type Runtimes map[string][]string

// detector finds one language; it returns false without any of its files.
type detector func(dir fs.FS) (Part, bool)

// detectors are in the order of the buildspec's commands.
var detectors = []detector{
	detectNode, detectGo, detectMaven, detectGradle, detectPython, detectRust, detectRuby, detectPHP, detectDotNet,
}

// Detect returns the languages of a directory. Versions of runtimes that no image offers are left
// out, and those that the files do not name are the newest.
func Detect(dir fs.FS, offered Runtimes) []Part {
	var all []Part
	for _, detect := range detectors {
		part, found := detect(dir)
		if !found {
			continue
		}
		versions := offered[part.Runtime]
		if part.Version == "" || !slices.Contains(versions, part.Version) {
			part.From, part.Version = "", ""
			if len(versions) > 0 {
				part.Version = versions[len(versions)-1]
			}
		}
		all = append(all, part)
	}
	return all
}

const (
	buildPhase  = "  build:\n    commands:\n"
	placeholder = `echo "replace this with the commands of your build"`
)

// Buildspec returns the text of a buildspec for the languages. Without any it has a command to
// replace.
func Buildspec(parts []Part) string {
	var b strings.Builder
	b.WriteString("# How AWS CodeBuild builds this source. Run it here: buildlocal run\n" +
		"# All keys: https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html\n" +
		"version: 0.2\n\nphases:\n")
	if len(parts) == 0 {
		writeList(&b, buildPhase, "      - ", []string{placeholder})
		return b.String()
	}
	writeInstall(&b, parts)
	commands := collect(parts, func(p Part) []string { return p.Build })
	if len(commands) == 0 { // such as a package.json without scripts
		commands = []string{placeholder}
	}
	writeList(&b, buildPhase, "      - ", commands)
	if reports := collect(parts, func(p Part) []string { return p.Reports }); len(reports) > 0 {
		b.WriteString("\n# Results of tests, which buildlocal report shows.\n")
		writeList(&b, "reports:\n  tests:\n    files:\n", "      - ", reports)
	}
	if artifacts := collect(parts, func(p Part) []string { return p.Artifacts }); len(artifacts) > 0 {
		b.WriteString("\n# The files that the build leaves: .buildlocal/latest/artifacts here.\n")
		writeList(&b, "artifacts:\n  files:\n", "    - ", artifacts)
	}
	if paths := collect(parts, func(p Part) []string { return p.Cache }); len(paths) > 0 {
		b.WriteString("\n# Restored by the next build.\n")
		writeList(&b, "cache:\n  paths:\n", "    - ", paths)
	}
	return b.String()
}

// writeInstall writes the phase INSTALL with the runtimes.
func writeInstall(b *strings.Builder, parts []Part) {
	commands := collect(parts, func(p Part) []string { return p.Install })
	var runtimes []string
	for _, p := range parts {
		line := fmt.Sprintf("      %s: %s", p.Runtime, p.Version)
		if p.Version != "" && !slices.Contains(runtimes, line) {
			runtimes = append(runtimes, line)
		}
	}
	if len(commands)+len(runtimes) == 0 {
		return
	}
	b.WriteString("  install:\n")
	if len(runtimes) > 0 {
		b.WriteString("    # Images of CodeBuild have several versions of each language.\n    runtime-versions:\n" +
			strings.Join(runtimes, "\n") + "\n")
	}
	if len(commands) > 0 {
		writeList(b, "    commands:\n", "      - ", commands)
	}
}

func writeList(b *strings.Builder, head, indent string, lines []string) {
	b.WriteString(head)
	for _, line := range lines {
		b.WriteString(indent + scalar(line) + "\n")
	}
}

// scalar quotes a text if YAML would read it as something else.
func scalar(text string) string {
	if strings.HasPrefix(text, "*") || strings.ContainsAny(text[:1], "!&[{|>%@`\"'#") || strings.Contains(text, ": ") ||
		strings.Contains(text, " #") {
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return text
}

// collect joins lists of all parts, each text once.
func collect(parts []Part, of func(Part) []string) []string {
	var all []string
	for _, p := range parts {
		for _, text := range of(p) {
			if !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
	}
	return all
}
