// Package repro compares a build of CodeBuild with the same build on this machine.
//
// Like package explain it has rules and no state: the record of the service and that of the build
// here go in, a verdict and the known differences come out, the likeliest cause first.
package repro

import (
	"fmt"
	"strings"

	"github.com/buildlocal/buildlocal/compute"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
)

// The verdicts.
const (
	Reproduced     = "reproduced"      // the same command failed with the same status, or both were green
	FailsOtherwise = "fails otherwise" // the build failed here in another way
	PassesHere     = "passes here"     // the build failed only in CodeBuild
)

// Case is a build of CodeBuild, and how it is repeated here.
type Case struct {
	Build   project.Build
	Failure project.BuildFailure // see project.Build.Failure

	Tree  string // description of the source, if it is not the commit of the build; else ""
	Cache bool   // the build here uses its cache
}

// Compare compares the build of a case with its record here.
func Compare(c Case, r *runner.Record) *runner.Repro {
	there, here := c.there(), outcomeOf(r)
	result := &runner.Repro{
		Of: c.Build.ID, There: there.String(), Here: here.String(), Differences: c.differences(r),
	}
	switch {
	case same(there, here):
		result.Verdict = Reproduced
	case here.green():
		result.Verdict = PassesHere
	default:
		result.Verdict = FailsOtherwise
	}
	return result
}

// outcome is how a build ended: with its first failure, if it has one.
type outcome struct {
	status  string
	phase   string
	command string // "" if no command failed, or if it is not known
	exit    int    // 0 if it is not known
}

func (c Case) there() outcome {
	f := c.Failure
	return outcome{c.Build.Status, f.Phase, strings.TrimSpace(f.Command), f.Exit}
}

// outcomeOf returns the outcome of a build here.
func outcomeOf(r *runner.Record) outcome {
	o := outcome{status: string(r.Status)}
	if r.Status == runner.Succeeded {
		return o
	}
	if len(r.Failures) > 0 && r.Failures[0].Command < len(r.Commands) {
		c := r.Commands[r.Failures[0].Command]
		o.phase, o.command, o.exit = string(c.Phase), strings.TrimSpace(c.Text), c.Exit
		return o
	}
	for _, p := range r.Phases {
		if p.Status != "" && p.Status != runner.Succeeded {
			o.phase = string(p.Type)
			break
		}
	}
	return o
}

func (o outcome) green() bool { return o.status == string(runner.Succeeded) }

// same reports whether two builds ended alike, as far as the service's record says how it ended.
func same(there, here outcome) bool {
	if there.green() || here.green() {
		return there.green() == here.green()
	}
	return there.phase == here.phase && (there.command == "" || there.command == here.command) &&
		(there.exit == 0 || there.exit == here.exit)
}

// String describes the outcome in one line.
func (o outcome) String() string {
	text := o.status
	if o.green() || o.phase == "" {
		return text
	}
	text += " in " + o.phase
	if o.command != "" {
		first, more, _ := strings.Cut(o.command, "\n")
		if more != "" {
			first += " …"
		}
		text += ": " + first
	}
	if o.exit != 0 {
		text += fmt.Sprintf(", exit status %d", o.exit)
	}
	return text
}

// differences returns the known differences between the two builds, those first that most often
// explain a different end.
func (c Case) differences(r *runner.Record) []string {
	all := []string{}
	for _, rule := range rules {
		if text := rule(c, r); text != "" {
			all = append(all, text)
		}
	}
	return all
}

// rules find one difference each, and return "" if the builds are alike in it.
var rules = []func(Case, *runner.Record) string{
	func(_ Case, r *runner.Record) string {
		if len(r.ByHand) == 0 {
			return ""
		}
		return "you changed the build here: " + runner.ByHandText(r.ByHand)
	},
	sourceDiffers, imageDiffers,
	func(c Case, _ *runner.Record) string {
		if c.Build.VPC == "" {
			return ""
		}
		return "VPC " + c.Build.VPC + " is not emulated: hosts in it may be unreachable"
	},
	storedVariables, webhookVariables, roleDiffers,
	func(c Case, _ *runner.Record) string {
		if kind := c.Build.Project.Cache.Type; !c.Cache && (kind == "S3" || kind == "LOCAL") {
			return "no cache is used here; CodeBuild's may have been warm (--with-cache uses one)"
		}
		return ""
	},
	memoryDiffers, architectureDiffers,
	func(c Case, _ *runner.Record) string {
		var names []string
		for _, f := range c.Build.Project.FileSystems {
			names = append(names, f.Identifier)
		}
		if len(names) == 0 {
			return ""
		}
		return "not mounted: " + human.Series(names) + " (--mount HOST:PATH gives the build a directory)"
	},
	func(c Case, _ *runner.Record) string {
		var names []string
		for _, s := range c.Build.Project.Secondary {
			names = append(names, s.Identifier)
		}
		if len(names) == 0 {
			return ""
		}
		return "secondary sources are directories of this machine, not the versions of the record: " + human.Series(names)
	},
	func(c Case, _ *runner.Record) string {
		if s := c.Build.Project.Source; s.FetchSubmodules {
			return "submodules are those that are checked out here"
		}
		return ""
	},
	func(Case, *runner.Record) string {
		return "time of day, time zone, network addresses and load of the machine"
	},
}

func sourceDiffers(c Case, _ *runner.Record) string {
	if c.Tree == "" {
		return ""
	}
	return "the source is " + c.Tree + ", not the commit of the build"
}

// imageDiffers compares the images. The record of the service has the name, and no digest.
func imageDiffers(c Case, r *runner.Record) string {
	e, want := r.Environment, c.Build.Project.Environment.Image
	switch {
	case e.Place != "":
		return "this build ran on " + e.Place + ", not in " + want
	case e.StandIn != "":
		return "image " + e.StandIn + " instead of " + want
	case e.Image != want:
		return "image " + e.Image + " instead of " + want
	case e.ImageID != "" && !c.Build.Start.IsZero():
		return fmt.Sprintf("%s may have changed since %s: the record has no digest, and here it is %s",
			want, c.Build.Start.Format("2006-01-02"), human.ShortID(e.ImageID))
	}
	return ""
}

// storedVariables names the variables that CodeBuild looks up.
func storedVariables(c Case, _ *runner.Record) string {
	var names []string
	for _, v := range c.Build.Project.Environment.Variables {
		if v.Type == project.ParameterStore || v.Type == project.SecretsManager {
			names = append(names, v.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "the values of " + human.Series(names) + " are those of this machine: the record has only their references"
}

// webhookVariables names variables that the record does not have.
func webhookVariables(c Case, _ *runner.Record) string {
	hook := strings.Contains(c.Build.Initiator, "Hookshot") || strings.HasPrefix(c.Build.Project.SourceVersion, "pr/")
	if !hook {
		return ""
	}
	return "CODEBUILD_WEBHOOK_* are missing, except for the trigger of a pull request: the record does not have them"
}

func roleDiffers(c Case, _ *runner.Record) string {
	role := c.Build.Project.ServiceRole
	if role == "" {
		return ""
	}
	return "the service role " + role[strings.LastIndexByte(role, '/')+1:] +
		" is not assumed: AWS may permit other calls (--aws-credentials, --assume-role)"
}

// memoryDiffers compares the memory of the compute type with the peak here.
func memoryDiffers(c Case, r *runner.Record) string {
	e := c.Build.Project.Environment
	limit := compute.Size(e.Type, e.ComputeType).Memory
	var peak int64
	for _, command := range r.Commands {
		if command.Used != nil {
			peak = max(peak, command.Used.PeakMemory)
		}
	}
	if limit == 0 || peak == 0 || peak < limit*3/4 {
		return ""
	}
	return fmt.Sprintf("memory: %s has %s, and commands used up to %s here",
		e.ComputeType, human.Memory(limit), human.Memory(peak))
}

func architectureDiffers(c Case, r *runner.Record) string {
	want, got := "linux/amd64", r.Environment.ImagePlatform
	if strings.HasPrefix(c.Build.Project.Environment.Type, "ARM") {
		want = "linux/arm64"
	}
	if got == "" && r.Machine != nil {
		got = r.Machine.System
	}
	if got == "" || strings.HasPrefix(got, want) {
		return ""
	}
	return "architecture: " + got + " here, " + want + " in CodeBuild"
}
