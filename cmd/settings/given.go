package settings

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
)

// CheckSettings returns the flags of run that decide what a buildspec is checked against, in the
// order in which a person would write them.
func CheckSettings() []string {
	return []string{"source", "source-root", "buildspec", "image", "engine", "privileged", "docker", "env", "env-file",
		"env-override", "project", "project-name", "ignore", "no-config"}
}

// CheckFlags returns the flags of CheckSettings that are on the command line, as they would be
// typed there. The values of variables are left out, because they may be secret and no check
// depends on them; variables for which used is false are left out entirely.
func (f *Flags) CheckFlags(used func(variable string) bool) []string {
	var all []string
	for _, name := range CheckSettings() {
		flag := f.command.Lookup(name)
		if flag == nil || f.origins[name].kind != local.FromCaller {
			continue
		}
		for _, value := range valuesOf(flag) {
			variable, _, _ := strings.Cut(value, "=")
			switch {
			case name == "env" && !used(variable):
			case name == "env":
				all = append(all, "-e", human.ShellWord(variable+"="))
			case flag.Value.Type() == "bool" && value == "true":
				all = append(all, "--"+name)
			case flag.Value.Type() == "bool":
				all = append(all, "--"+name+"="+value)
			case flag.Shorthand != "":
				all = append(all, "-"+flag.Shorthand, human.ShellWord(value))
			default:
				all = append(all, "--"+name, human.ShellWord(value))
			}
		}
	}
	return all
}

// valuesOf returns the values of a flag; only a repeatable one has several.
func valuesOf(flag *pflag.Flag) []string {
	if list, repeatable := flag.Value.(pflag.SliceValue); repeatable {
		return list.GetSlice()
	}
	return []string{flag.Value.String()}
}
