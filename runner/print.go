package runner

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/secrets"
)

// String returns the whole plan for the user, with all secrets masked.
func (p *Plan) String() string { return p.text(true) }

// Short returns the plan for the user without the variables that are as CodeBuild sets them.
func (p *Plan) Short() string { return p.text(false) }

func (p *Plan) text(whole bool) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("build", "%s, number %d", p.Identity.BuildID(), p.Identity.Number)
	if p.Engine != "" {
		line("engine", "%s", p.Engine)
	}
	if p.Place == "" {
		line("image", "%s%s", p.Image, p.imageNotes())
	} else {
		line("image", "none, %s", p.Place)
	}
	if p.Limits != (engine.Limits{}) {
		line("compute", "%s%s", p.ComputeType, p.limitNotes())
	}
	for i, s := range p.Sources {
		name := "source"
		if i > 0 {
			name = "source " + s.ID
		}
		line(name, "%s", s.Tree.Host)
		line("", "at %s", s.Path)
		if s.Note != "" {
			line("", "%s", s.Note)
		}
	}
	line("buildspec", "%s", p.File)
	line("shell", "%s%s", p.Shell, map[bool]string{false: ", each command on its own (version 0.1)"}[p.Keep])
	line("time limit", "%s", limitText(p.Timeout))
	if p.Grant != "" {
		line("credentials", "%s, at %s", p.Grant, CredentialsAddress)
	}
	if p.CABundle != "" {
		line("certificates", "the image's and those of %s", p.CABundle)
	}
	if p.Metadata {
		line("metadata", "the build may reach the host's instance metadata service")
	}
	for _, bind := range p.Binds {
		line("mount", "%s at %s%s", bind.Host, bind.Path, map[bool]string{true: ", read-only"}[bind.ReadOnly])
	}
	if p.Network.Name != "" {
		line("network", "%s", p.Network.Name)
	}
	for _, h := range p.Network.Hosts {
		line("host", "%s is %s", h.Name, h.IP)
	}
	for _, port := range p.Network.Ports {
		line("port", "%s of this host is %d of the build", port.Host, port.Container)
	}
	p.printVariables(&b, whole)
	p.printPhases(&b)
	p.printOutputs(&b)
	return p.MaskText(b.String())
}

// MaskText replaces the plan's secrets in a text.
func (p *Plan) MaskText(text string) string { return secrets.NewMask(p.secrets()...).Text(text) }

// limitText returns a time limit as flags accept it, in minutes if possible.
func limitText(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

// limitNotes describes the limits of a build.
func (p *Plan) limitNotes() string {
	var notes []string
	if p.Limits.CPUs > 0 {
		notes = append(notes, fmt.Sprintf("%g vCPU", p.Limits.CPUs))
	}
	if p.Limits.Memory > 0 {
		notes = append(notes, fmt.Sprintf("%dGiB of memory", p.Limits.Memory>>30))
	}
	return " (at most " + strings.Join(notes, ", ") + ")"
}

// LimitText describes the limits of the build for the user, such as "at most 2 vCPU".
func (p *Plan) LimitText() string { return strings.Trim(p.limitNotes(), " ()") }

func (p *Plan) imageNotes() string {
	var notes []string
	if p.StandIn != "" {
		notes = append(notes, "using local substitute "+p.StandIn)
	}
	if p.Digest != "" {
		notes = append(notes, "with the digest "+p.Digest)
	}
	if p.Platform != "" {
		notes = append(notes, "for "+p.Platform)
	}
	if p.Privileged {
		notes = append(notes, "privileged")
	}
	if p.Socket {
		notes = append(notes, "with the host's Docker engine")
	}
	if p.Pull != "" && p.Pull != engine.PullMissing {
		notes = append(notes, "pull "+string(p.Pull))
	}
	if p.Alias != "" && len(p.Images) > 0 {
		notes = append(notes, "or "+strings.Join(p.Images, " or "))
	}
	if p.NoImage != "" {
		notes = append(notes, "not published: requires a local image of this name")
	}
	if len(notes) == 0 {
		return ""
	}
	return " (" + strings.Join(notes, ", ") + ")"
}

// printVariables prints the variables with their origins. Unless whole is true, those that are as
// CodeBuild sets them are only counted: the others are the user's.
func (p *Plan) printVariables(b *strings.Builder, whole bool) {
	fmt.Fprintf(b, "\nvariables\n")
	all := append([]Variable(nil), p.Variables...)
	sort.SliceStable(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	left := 0
	for _, v := range all {
		if !whole && v.Origin == serviceOrigin && len(v.Hides) == 0 {
			left++
			continue
		}
		origin := v.Origin
		if len(v.Hides) > 0 {
			origin += ", hides " + strings.Join(v.Hides, ", ")
		}
		fmt.Fprintf(b, "  %s=%s  (%s)\n", v.Name, indent(v.Shown(), "    "), origin)
	}
	if left > 0 {
		fmt.Fprintf(b, "  %d set as CodeBuild does (-v lists them)\n", left)
	}
}

func (p *Plan) printPhases(b *strings.Builder) {
	if len(p.Runtimes) > 0 {
		fmt.Fprintf(b, "\nruntimes\n")
		for _, r := range p.Runtimes {
			fmt.Fprintf(b, "  %s %s  (%s:%d)\n", r.Name, r.Value, p.File, r.Line)
		}
	}
	for _, phase := range p.Phases {
		if !phase.Written {
			continue
		}
		fmt.Fprintf(b, "\n%s%s\n", phase.Type, phase.notes())
		p.printCommands(b, phase.Commands, "")
		p.printCommands(b, phase.Finally, "finally ")
	}
}

func (ph Phase) notes() string {
	text := ""
	if ph.RunAs != "" {
		text += ", as " + ph.RunAs
	}
	if ph.OnFailure.Text != "" {
		text += ", on failure " + ph.OnFailure.Text
	}
	return text
}

func (p *Plan) printCommands(b *strings.Builder, commands []buildspec.Command, prefix string) {
	for _, c := range commands {
		text := indent(strings.TrimRight(c.Text, "\n"), strings.Repeat(" ", len(prefix)+8))
		fmt.Fprintf(b, "  %s%4d  %s\n", prefix, c.Line, text)
	}
}

func (p *Plan) printOutputs(b *strings.Builder) {
	fmt.Fprintln(b)
	if p.Artifacts != nil {
		printArtifacts(b, "artifacts", *p.Artifacts, p.Packages[""])
		for _, s := range p.Artifacts.Secondary {
			printArtifacts(b, "artifacts "+s.Identifier, s, p.Packages[s.Identifier])
		}
	}
	for _, r := range p.Reports {
		files := strings.Join(r.Files, ", ") + below(r.BaseDirectory)
		fmt.Fprintf(b, "%-14s %s: %s as %s\n", "report", r.Name, files, r.Format)
	}
	for _, mode := range p.CacheModes {
		fmt.Fprintf(b, "%-14s %s: %s\n", "cache mode", mode, p.modeMeaning(mode))
	}
	if p.Cache != nil {
		p.printCache(b)
	}
	if len(p.Exported) > 0 {
		fmt.Fprintf(b, "%-14s %s\n", "exported", strings.Join(p.Exported, ", "))
	}
}

// modeMeaning describes the effect of a mode of a LOCAL cache.
func (p *Plan) modeMeaning(mode string) string {
	switch {
	case mode == SourceCache:
		return "git objects of the source are used directly"
	case p.CachePlace == "":
		return "not kept: --no-cache"
	case mode == CustomCache:
		return "directories of cache.paths are kept on the host"
	case !p.Privileged:
		return "no effect: the build is not privileged"
	}
	return "layers of the build's Docker engine are kept on the host"
}

func (p *Plan) printCache(b *strings.Builder) {
	text := strings.Join(p.Cache.Paths, ", ")
	if p.Cache.Key != "" {
		text += ", key " + p.Cache.Key
		for _, key := range p.Cache.FallbackKeys {
			text += ", or keys that begin with " + key
		}
	}
	switch {
	case p.CachePlace != "" && slices.Contains(p.CacheModes, CustomCache):
		text += ", directories linked to kept copies"
	case p.CachePlace == "":
		text += ", not kept: --no-cache"
	case p.Cache.Action == cacheRestore:
		text += ", only restored from " + p.CachePlace
	case p.Cache.Action == cacheSave:
		text += ", only saved in " + p.CachePlace
	default:
		text += ", kept in " + p.CachePlace
	}
	fmt.Fprintf(b, "%-14s %s\n", "cache", text)
}

func printArtifacts(b *strings.Builder, name string, a buildspec.Artifacts, p Package) {
	if len(a.Files) == 0 {
		return
	}
	text := strings.Join(a.Files, ", ") + below(a.BaseDirectory)
	if len(a.ExcludePaths) > 0 {
		text += ", without " + strings.Join(a.ExcludePaths, ", ")
	}
	if a.DiscardPaths {
		text += ", paths discarded"
	}
	if p.Zip {
		text += ", as a zip too"
	}
	fmt.Fprintf(b, "%-14s %s\n", name, text)
}

func below(base string) string {
	if base == "" {
		return ""
	}
	return " below " + base
}

func indent(text, prefix string) string { return strings.ReplaceAll(text, "\n", "\n"+prefix) }
