package cli

import (
	"github.com/spf13/pflag"

	"github.com/buildlocal/buildlocal/internal/human"
)

// FlagWords returns a flag with its values as quoted words of a command line. shown returns a value
// as it is to be shown, or false to leave it out.
func FlagWords(flag *pflag.Flag, shown func(value string) (string, bool)) []string {
	values := []string{flag.Value.String()}
	if list, repeatable := flag.Value.(pflag.SliceValue); repeatable {
		values = list.GetSlice()
	}
	var words []string
	for _, value := range values {
		value, show := shown(value)
		switch {
		case !show:
		case flag.Value.Type() == "bool" && value == "true":
			words = append(words, "--"+flag.Name)
		case flag.Value.Type() == "bool":
			words = append(words, "--"+flag.Name+"="+value)
		case flag.Shorthand != "":
			words = append(words, "-"+flag.Shorthand, human.ShellWord(value))
		default:
			words = append(words, "--"+flag.Name, human.ShellWord(value))
		}
	}
	return words
}
