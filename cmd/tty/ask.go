package tty

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/internal/regular"
)

// Ask prints a question and reads the answer.
func Ask(ctx context.Context, a *cli.App, in *os.File, question string) (bool, error) {
	line, err := readLine(ctx, a, in, question)
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", err
}

// readLine prints a question on the standard error, and reads a line. The end of the input is an
// empty line.
func readLine(ctx context.Context, a *cli.App, in io.Reader, question string) (string, error) {
	fmt.Fprint(a.Stderr, question)
	// A read of a terminal cannot be interrupted; on Ctrl-C it is abandoned.
	line, err := regular.WithContext(ctx, func() ([]byte, error) { return bufio.NewReader(in).ReadBytes('\n') })
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return string(line), err
}
