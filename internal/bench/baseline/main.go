// Command baseline prints the help of an empty command line. It links the five
// packages that buildlocal is built on and nothing of buildlocal itself, so its
// running time is the part of a start that buildlocal cannot avoid.
package main

import (
	"os"

	_ "github.com/docker/docker/client"
	_ "github.com/fatih/color"
	_ "github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	_ "gopkg.in/yaml.v3"
)

func main() {
	// An empty command prints its help, as buildlocal --help does.
	command := &cobra.Command{Use: "baseline", Short: "Print the help of an empty command line"}
	command.SetArgs(os.Args[1:])
	if err := command.Execute(); err != nil {
		os.Exit(1)
	}
}
