package debug

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/reach"
	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
)

// ForwardOptions are the flags and arguments of forward.
type ForwardOptions struct {
	Args    []string // BUILD, if it is there, and ports
	Address string   // of this host
}

// NewForward returns the command forward.
func NewForward(a *cli.App, runF cli.RunF[ForwardOptions]) *cobra.Command {
	o := &ForwardOptions{}
	c := &cobra.Command{
		Use: "forward [BUILD] [LOCAL:]PORT...", Short: "Forward ports of a build to this host",
		Long: "Forward TCP ports of a build to 127.0.0.1, until Ctrl-C or the end of the build. LOCAL is\n" +
			"the port of this host, 0 for any free one; without it, it is the port of the build.\n" +
			"Builds on the engines sandbox and host share the ports of this host.\n\n" + reach.Help +
			"\nThe first of several arguments is BUILD if a build has this name.",
		Example: "  buildlocal forward 8080\n  buildlocal forward 12 18080:8080 0:5432",
	}
	c.Flags().StringVar(&o.Address, "address", "127.0.0.1", "listen at the address `IP` of this host")
	c.RunE = func(c *cobra.Command, args []string) error {
		if o.Args = args; len(args) == 0 {
			return cli.Usagef("no port to forward\nbuildlocal forward 8080 forwards one")
		}
		if net.ParseIP(o.Address) == nil {
			return cli.Usagef("--address %s: not an IP address", o.Address)
		}
		// The first of several arguments may be a build.
		for _, arg := range args[min(1, len(args)-1):] {
			if _, err := parseForwarded(arg); err != nil {
				return err
			}
		}
		return runF.Or(a, forward)(c.Context(), o)
	}
	return c
}

// forwarded is a port that is forwarded.
type forwarded struct{ local, port int }

// parseForwarded parses [LOCAL:]PORT.
func parseForwarded(text string) (forwarded, error) {
	plain, protocol, _ := strings.Cut(text, "/")
	if protocol != "" && protocol != "tcp" {
		return forwarded{}, cli.Usagef("%s: only TCP ports are forwarded, not %s", text, protocol)
	}
	first, second, both := strings.Cut(plain, ":")
	if !both {
		second = first
	}
	host, err1 := strconv.ParseUint(first, 10, 16)
	port, err2 := strconv.ParseUint(second, 10, 16)
	if err1 != nil || err2 != nil || port == 0 {
		return forwarded{}, cli.Usagef("%s: expected PORT or LOCAL:PORT, such as 8080 or 18080:8080", text)
	}
	return forwarded{int(host), int(port)}, nil
}

// split returns the name of the build, which may be empty, and the ports.
func (o *ForwardOptions) split(isBuild func(string) bool) (build string, ports []forwarded, err error) {
	args := o.Args
	if len(args) > 1 && !strings.Contains(args[0], ":") && isBuild(args[0]) {
		build, args = args[0], args[1:]
	}
	for _, arg := range args {
		f, err := parseForwarded(arg)
		if err != nil {
			return "", nil, err
		}
		ports = append(ports, f)
	}
	return build, ports, nil
}

// forward forwards ports until ctx or the build ends.
func forward(ctx context.Context, a *cli.App, o *ForwardOptions) error {
	name, ports, err := o.split(func(word string) bool { return a.HasBuild(ctx, word) })
	if err != nil {
		return err
	}
	return reach.With(ctx, a, name, func(b *local.Reached) error {
		status, err := b.Status(ctx)
		if err != nil {
			return err
		}
		if status.HostNetwork {
			if ports = o.onHost(a, status.Engine, ports); len(ports) == 0 {
				return nil
			}
		}
		return o.serve(ctx, a, b, ports)
	})
}

// onHost prints which ports are those of the host already, and returns the others.
func (o *ForwardOptions) onHost(a *cli.App, engine string, ports []forwarded) (others []forwarded) {
	for _, f := range ports {
		if f.local != f.port {
			others = append(others, f)
		}
		fmt.Fprintf(a.Stdout, "port %d is already on this host: builds on the engine %s share its network\n", f.port, engine)
	}
	return others
}

// serve listens at all ports, and forwards connections until the end.
func (o *ForwardOptions) serve(ctx context.Context, a *cli.App, b *local.Reached, ports []forwarded) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var listeners []net.Listener
	defer func() {
		for _, l := range listeners {
			l.Close()
		}
	}()
	for _, f := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort(o.Address, strconv.Itoa(f.local)))
		if err != nil {
			return cli.Usagef("listen at port %d: %v\nchoose another one with LOCAL:PORT", f.local, err)
		}
		listeners = append(listeners, l)
	}
	var group sync.WaitGroup
	for i, l := range listeners {
		fmt.Fprintf(a.Stdout, "forwarding %s to port %d of build %s\n", l.Addr(), ports[i].port, b.Build)
		group.Go(func() { accept(ctx, l, func(c net.Conn) { carry(ctx, a, b, c, ports[i].port) }) })
	}
	group.Go(func() { cancel(b.Wait(ctx)) })
	<-ctx.Done()
	for _, l := range listeners {
		l.Close()
	}
	b.Client.Close() // ends the connections
	group.Wait()
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, runner.ErrStopped): // Ctrl-C is the usual end
		return nil
	case errors.Is(cause, runner.ErrTerminated):
		return cli.ExitError{Code: cli.ExitTerminated}
	case errors.Is(cause, control.ErrEnded):
		a.Warnf("note: build %s has ended", b.Build)
		return nil
	}
	return cause
}

// accept calls serve for each connection, and returns after all of them.
func accept(ctx context.Context, l net.Listener, serve func(net.Conn)) {
	var group sync.WaitGroup
	defer group.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		group.Go(func() {
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			serve(c)
		})
	}
}

// carry connects a connection of this host with a port of the build. Each direction ends by
// itself.
func carry(ctx context.Context, a *cli.App, b *local.Reached, c net.Conn, port int) {
	remote, err := b.Dial(ctx, port)
	if err != nil {
		if ctx.Err() == nil {
			a.Warnf("warning: %v", err)
		}
		return
	}
	defer remote.Close()
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(remote, c)
		_ = remote.Close()
	})
	_, _ = io.Copy(c, remote)
	if half, can := c.(*net.TCPConn); can {
		_ = half.CloseWrite()
	}
	both.Wait()
}
