package debug

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/internal/regular"
)

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
