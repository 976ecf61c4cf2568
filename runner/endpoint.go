package runner

import (
	"net"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/runner/shell"
)

// Endpoint is a service of this program that processes of the build can reach, such as the
// container credentials endpoint.
type Endpoint interface {
	// Address returns the link-local address with a port, such as 169.254.170.2:80.
	Address() string
	// Serve serves connections until the listener is closed. It is called once for each
	// attempt to start the container.
	Serve(l net.Listener, host EndpointHost) error
	// Setup returns the endpoint's effect on the build environment. It is called after
	// the container has started.
	Setup(p *Plan, host EndpointHost) EndpointSetup
}

// EndpointHost is the build that an Endpoint serves. Its methods may be used concurrently.
type EndpointHost interface {
	// Fallback returns the address at which the build reaches the endpoint if the engine
	// cannot provide its own address, else "". A fallback address is a port of the host's
	// loopback interface: other programs can connect to it, so the endpoint must
	// authenticate its clients.
	Fallback() string
	// Mask returns text with all secrets masked.
	Mask(text string) string
	// Hide masks values in everything that the build prints from now on.
	Hide(values ...string)
	// NoteOnce prints a note for the user, once for each format.
	NoteOnce(format string, args ...any)
}

// EndpointSetup is the effect of an Endpoint on the build environment.
type EndpointSetup struct {
	Notes     []string    // for the user
	Unset     []string    // variables of the plan that do not apply
	Variables []NameValue // literal values
	Commands  []string    // simple shell commands, run as root before the build's commands
}

// endpoints owns the state of a build's endpoints.
type endpoints struct {
	rec *recorder
	all []*servedEndpoint
}

// servedEndpoint is an Endpoint and its EndpointHost.
type servedEndpoint struct {
	Endpoint
	rec *recorder
	// fallback is set by the engine before Start returns, and before it serves the first
	// connection.
	fallback string
}

func newEndpoints(all []Endpoint, rec *recorder) *endpoints {
	e := &endpoints{rec: rec}
	for _, endpoint := range all {
		e.all = append(e.all, &servedEndpoint{Endpoint: endpoint, rec: rec})
	}
	return e
}

// services returns the endpoints as the engine serves them.
func (e *endpoints) services() []engine.Service {
	var all []engine.Service
	for _, s := range e.all {
		all = append(all, engine.Service{
			Address:    s.Address(),
			Serve:      func(l net.Listener) error { return s.Serve(l, s) },
			OnFallback: func(address string) { s.fallback = address },
		})
	}
	return all
}

// setup returns the lines for the build's first shell and the commands of all endpoints.
func (e *endpoints) setup(p *Plan) (lines, commands []string) {
	for _, s := range e.all {
		setup := s.Setup(p, s)
		for _, text := range setup.Notes {
			e.rec.note("%s", text)
		}
		for _, name := range setup.Unset {
			lines = append(lines, "unset "+name)
		}
		for _, v := range setup.Variables {
			lines = append(lines, shell.Export(v.Name, v.Value))
		}
		commands = append(commands, setup.Commands...)
	}
	return lines, commands
}

// Fallback implements EndpointHost.
func (s *servedEndpoint) Fallback() string { return s.fallback }

// Hide implements EndpointHost.
func (s *servedEndpoint) Hide(values ...string) { s.rec.hide(values...) }

// Mask implements EndpointHost.
func (s *servedEndpoint) Mask(text string) string { return s.rec.maskText(text) }

// NoteOnce implements EndpointHost.
func (s *servedEndpoint) NoteOnce(format string, args ...any) { s.rec.noteOnce(format, args...) }
