package local

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner"
)

// AccessOptions give the build files and a network that it would not have in CodeBuild. The forms
// of their values are those of docker run.
type AccessOptions struct {
	Mounts  []string // HOST:PATH[:ro]
	Network string   // name of a Docker network, or none
	Hosts   []string // NAME:IP
	Publish []string // [ADDRESS:]HOST:CONTAINER
}

// needsDocker reports whether only the engine docker fulfills the options.
func (o AccessOptions) needsDocker() bool { return o.Network != "" || len(o.Hosts)+len(o.Publish) > 0 }

// note returns the note that CodeBuild has no such options, or "" if none is used.
func (o AccessOptions) note() string {
	var used []string
	for _, option := range []struct {
		name string
		used bool
	}{
		{"--mount", len(o.Mounts) > 0}, {"--network", o.Network != ""}, {"--add-host", len(o.Hosts) > 0},
		{"--publish", len(o.Publish) > 0},
	} {
		if option.used {
			used = append(used, option.name)
		}
	}
	if len(used) == 0 {
		return ""
	}
	return human.Series(used) + ": CodeBuild has no such option; the build may differ there"
}

// validateAccess returns all mistakes in the options.
func (r *Request) validateAccess() []error {
	var errs []error
	o := r.Access
	check := func(setting string, values []string, wrong func(string) error) {
		for _, v := range values {
			if err := wrong(v); err != nil {
				errs = append(errs, invalid(setting, "%s: %s", v, err))
			}
		}
	}
	check("mount", o.Mounts, func(v string) error { _, err := parseMount(v); return err })
	check("add-host", o.Hosts, func(v string) error { _, err := parseHost(v); return err })
	check("publish", o.Publish, func(v string) error { _, err := parsePort(v); return err })
	if o.Network == "host" || strings.HasPrefix(o.Network, "container:") {
		errs = append(errs, invalid("network", "%s: builds have a network namespace of their own\n"+
			"Name a network that docker network ls lists, or use --engine host, which shares this host's", o.Network))
	}
	if o.Network == "none" && (r.Secrets.Credentials || r.Secrets.GitCredentials) {
		errs = append(errs, invalid("network", "none cannot be combined with --aws-credentials or --git-credentials"))
	}
	if r.Engine.Kind.Daemonless() && o.needsDocker() {
		for _, option := range []struct {
			name string
			used bool
		}{{"network", o.Network != ""}, {"add-host", len(o.Hosts) > 0}, {"publish", len(o.Publish) > 0}} {
			if option.used {
				errs = append(errs, invalid(option.name,
					"requires --engine docker; builds of --engine %s share this host's network", r.Engine.Kind))
			}
		}
	}
	return errs
}

// parseMount parses HOST:PATH[:ro]. HOST may have a colon itself, as on Windows.
func parseMount(text string) (engine.Bind, error) {
	rest, readOnly := strings.CutSuffix(text, ":ro")
	if !readOnly {
		rest, _ = strings.CutSuffix(rest, ":rw")
	}
	at := strings.LastIndex(rest, ":/")
	if at < 1 {
		return engine.Bind{}, fmt.Errorf("expected HOST:PATH or HOST:PATH:ro, with an absolute PATH in the build")
	}
	host, err := filepath.Abs(rest[:at])
	if err != nil {
		return engine.Bind{}, err
	}
	if _, err := os.Stat(host); err != nil {
		return engine.Bind{}, fmt.Errorf("%s", human.ErrorText(err))
	}
	inBuild := path.Clean(rest[at+1:])
	if inBuild == "/" || inBuild == "/codebuild" || strings.HasPrefix(inBuild, "/codebuild/") {
		return engine.Bind{}, fmt.Errorf("the build itself needs %s", inBuild)
	}
	return engine.Bind{Host: host, Path: inBuild, ReadOnly: readOnly}, nil
}

// parseHost parses NAME:IP. The address may have colons, and the value host-gateway of Docker.
func parseHost(text string) (engine.HostName, error) {
	name, ip, found := strings.Cut(text, ":")
	_, err := netip.ParseAddr(strings.Trim(ip, "[]"))
	if !found || name == "" || err != nil && ip != "host-gateway" {
		return engine.HostName{}, fmt.Errorf("expected NAME:IP, such as db:10.0.0.5")
	}
	return engine.HostName{Name: name, IP: strings.Trim(ip, "[]")}, nil
}

// parsePort parses [ADDRESS:]HOST:CONTAINER.
func parsePort(text string) (engine.Port, error) {
	at := strings.LastIndex(text, ":")
	host, inside := text[:max(at, 0)], text[at+1:]
	number, err := strconv.ParseUint(inside, 10, 16)
	port := host
	if address, of, split := net.SplitHostPort(host); split == nil {
		port = of
		if _, wrong := netip.ParseAddr(address); wrong != nil {
			err = wrong
		}
	}
	if published, wrong := strconv.ParseUint(port, 10, 16); wrong != nil || published == 0 || err != nil || number == 0 {
		return engine.Port{}, fmt.Errorf("expected HOST:CONTAINER or ADDRESS:HOST:CONTAINER, with ports such as 8080:80")
	}
	return engine.Port{Host: host, Container: int(number)}, nil
}

// grantAccess adds the options, which were validated, to a plan.
func (o AccessOptions) grantAccess(p *runner.Plan) {
	p.Network.Name = o.Network
	for _, text := range o.Mounts {
		if bind, err := parseMount(text); err == nil {
			p.Binds = append(p.Binds, bind)
		}
	}
	for _, text := range o.Hosts {
		if host, err := parseHost(text); err == nil {
			p.Network.Hosts = append(p.Network.Hosts, host)
		}
	}
	for _, text := range o.Publish {
		if port, err := parsePort(text); err == nil {
			p.Network.Ports = append(p.Network.Ports, port)
		}
	}
	if note := o.note(); note != "" {
		p.Notes = append(p.Notes, note)
	}
}
