package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/buildlocal/buildlocal/runner"
)

// writeExported writes exported variables in the form that --env-file reads, and a
// shell too where no value has a single quote. Nothing is written where no file is
// named.
func writeExported(name string, all []runner.NameValue) error {
	if name == "" {
		return nil
	}
	var b strings.Builder
	for _, v := range all {
		fmt.Fprintf(&b, "%s=%s\n", v.Name, quoted(v.Value))
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("write the exported variables: %w", err)
	}
	// A file that is there is replaced whole; a pipe or a device is written to.
	write := replaceFile
	if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
		write = func(name string, text []byte) error { return os.WriteFile(name, text, 0o644) }
	}
	if err := write(name, []byte(b.String())); err != nil {
		return fmt.Errorf("write the exported variables: %w", err)
	}
	return nil
}

var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "\n", `\n`, "\r", `\r`, "\t", `\t`)

// quoted is a value in quotes: single ones, in which everything is as it is.
func quoted(value string) string {
	if !strings.ContainsAny(value, "'\r") {
		return "'" + value + "'"
	}
	return `"` + escape.Replace(value) + `"`
}
