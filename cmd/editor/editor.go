// Package editor has the command dap, with which editors debug builds.
package editor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/launch"
	"github.com/buildlocal/buildlocal/dap"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/runner"
)

// Options are the flags of dap.
type Options struct {
	Listen string // an address; "" for the standard input and output
}

// Starter prepares a build from the arguments of an editor.
type Starter func(context.Context, *cli.App, launch.Arguments, io.Writer) (*dap.Build, error)

// Dialer connects to the session of a build that runs.
type Dialer func(ctx context.Context, a *cli.App, build string) (dap.Attached, error)

// NewDAP returns the command dap.
func NewDAP(a *cli.App, start Starter, dial Dialer, runF cli.RunF[Options]) *cobra.Command {
	o := &Options{}
	c := &cobra.Command{
		Use:   "dap",
		Short: "Run a debug adapter, with which editors debug builds",
		Long: "Serve the Debug Adapter Protocol on standard input and output: breakpoints in the\n" +
			"buildspec, variables, and a console in the build. The arguments of launch are the flags\n" +
			"of run; attach reaches a build that runs. docs/editors.md shows how to configure editors.",
		Example: "  buildlocal dap\n  buildlocal dap --listen 127.0.0.1:4711",
		Args:    cli.NoArgs,
	}
	c.Flags().StringVar(&o.Listen, "listen", "",
		"serve one client on `ADDRESS` instead: 127.0.0.1:PORT (0 for any free port) or unix:PATH")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := o.check(); err != nil {
			return err
		}
		return runF.Or(a, func(ctx context.Context, a *cli.App, o *Options) error {
			return serve(ctx, a, o, start, dial)
		})(c.Context(), o)
	}
	return c
}

// check returns an error for an address that others could reach, or that is not valid.
func (o *Options) check() error {
	if o.Listen == "" {
		return nil
	}
	wrong := func(why string) error {
		return cli.Usagef("--listen %s: %s\nuse 127.0.0.1:PORT, [::1]:PORT or unix:PATH", o.Listen, why)
	}
	if path, unix := strings.CutPrefix(o.Listen, "unix:"); unix {
		if path == "" {
			return wrong("the path is empty")
		}
		return nil
	}
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return wrong("expected an address with a port")
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return wrong("the port is not a number from 0 to 65535")
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return wrong("other hosts could run commands through it")
	}
	return nil
}

// serve runs one session on the standard streams, or with the first client that connects.
func serve(ctx context.Context, a *cli.App, o *Options, start Starter, dial Dialer) error {
	options := dap.Options{
		Launch: func(ctx context.Context, arguments map[string]json.RawMessage, to io.Writer) (*dap.Build, error) {
			return start(ctx, a, arguments, to)
		},
		Attach:  func(ctx context.Context, build string) (dap.Attached, error) { return dial(ctx, a, build) },
		Outline: outline, Shell: launch.ShellCommand,
	}
	if o.Listen == "" {
		return dap.Serve(ctx, stdio{a.Stdin, a.Raw.Out}, options)
	}
	conn, err := accept(ctx, a, o.Listen)
	if err != nil {
		return err
	}
	defer conn.Close()
	return dap.Serve(ctx, conn, options)
}

// accept listens until one client has connected, or ctx is done. The address is printed, for a port
// that the system has chosen.
func accept(ctx context.Context, a *cli.App, address string) (net.Conn, error) {
	network := "tcp"
	if path, unix := strings.CutPrefix(address, "unix:"); unix {
		network, address = "unix", path
	}
	listener, err := new(net.ListenConfig).Listen(ctx, network, address)
	if err != nil {
		return nil, cli.Usagef("--listen: %w", err)
	}
	defer listener.Close()
	if network == "unix" {
		const mine = 0o600
		if err := os.Chmod(address, mine); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(a.Stdout, "listening on %s\n", listener.Addr())
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	conn, err := listener.Accept()
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return conn, err
}

// outline returns a plan with the commands of a buildspec.
func outline(ctx context.Context, file string) (*runner.Plan, error) {
	const maxBuildspec = 4 << 20
	text, err := regular.ReadNamed(ctx, file, maxBuildspec)
	if err != nil {
		return nil, err
	}
	spec, problems := buildspec.Parse(file, text)
	if err := problems.Err(); err != nil {
		return nil, errors.New("the buildspec has errors: " + err.Error())
	}
	return runner.Outline(spec), nil
}

// stdio is the standard input and output as one stream. The output is the raw one, because the protocol
// counts bytes.
type stdio struct {
	io.Reader
	io.Writer
}
