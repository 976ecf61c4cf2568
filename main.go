// Command buildlocal runs AWS CodeBuild builds locally.
package main

import (
	"os"

	"github.com/buildlocal/buildlocal/cmd"
)

// version is set when the program is linked.
var version = "dev"

func main() { os.Exit(cmd.Execute(os.Args[1:], version)) }
