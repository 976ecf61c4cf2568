package local

import (
	"context"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
)

// readVariables reads the variables that the request sets. Later ones take precedence.
func (h *Host) readVariables(ctx context.Context, r *Request) ([]runner.Override, diag.List, error) {
	all, problems, err := h.readEnvFiles(ctx, r)
	errs := []error{err}
	for i, text := range r.Variables.Overrides {
		origin, line := r.place("env-override", "--env-override", i)
		variables, wrong := project.ParseOverride("--env-override", text)
		for i := range variables {
			variables[i].Line = line
		}
		problems = append(problems, wrong...)
		if wrong.Failed() {
			errs = append(errs, UsageError{wrong})
		}
		all = append(all, runner.Override{Origin: origin, Variables: variables})
	}
	var set runner.Override
	for i, arg := range r.Variables.Set {
		origin, line := r.place("env", "-e", i)
		v, err := project.ParseEnvFlag(arg, h.LookupEnv)
		if err != nil {
			errs = append(errs, invalid("env", "%s", err))
			continue
		}
		if project.ReservedName(v.Name) {
			problems = append(problems, diag.Problem{Severity: diag.Warning, Message: fmt.Sprintf(
				"%s %s: names that begin with CODEBUILD_ are reserved; a value that CodeBuild sets takes precedence",
				origin, v.Name)})
		}
		set.Origin, v.Line = origin, line
		set.Variables = append(set.Variables, v)
	}
	return append(all, set), problems, joinErrors(errs)
}

// readEnvFiles reads the environment files, in the order of the request.
func (h *Host) readEnvFiles(ctx context.Context, r *Request) ([]runner.Override, diag.List, error) {
	lookup := h.LookupEnv
	if r.comesWithSource("env-file") && !r.Trusted {
		// Lines that copy variables of the host were refused when the trust was
		// checked. A file that was replaced since then gets none either.
		lookup = nil
	}
	var all []runner.Override
	var problems diag.List
	var errs []error
	for _, name := range r.Variables.Files {
		text, err := r.readSetting(ctx, "env-file", name)
		if err != nil {
			errs = append(errs, Usagef("read the environment file: %w", err))
			continue
		}
		variables, wrong := project.ParseEnvFile(name, text, lookup)
		problems = append(problems, wrong...)
		all = append(all, runner.Override{Origin: name, Variables: variables})
	}
	return all, problems, joinErrors(append(errs, problems.Err()))
}

// readCertificates reads the certificates that the build trusts in addition to those of
// its image.
func (r *Request) readCertificates(ctx context.Context) ([]byte, error) {
	name := r.Variables.CABundle
	if name == "" {
		return nil, nil
	}
	text, err := regular.ReadNamed(ctx, name, maxDocument)
	if err != nil {
		return nil, Usagef("read the certificates: %w", err)
	}
	// A file with a key is refused, because combined files of a certificate and its key are
	// common on servers.
	certificates := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case strings.Contains(block.Type, "PRIVATE KEY"):
			return nil, Usagef(
				"--ca-bundle: %s holds a private key, which a build must not get; leave only certificates in it",
				name,
			)
		case strings.HasSuffix(block.Type, "CERTIFICATE"):
			certificates++
		}
	}
	if certificates == 0 {
		return nil, Usagef(
			"--ca-bundle: %s has no certificate; expected PEM, lines that begin with -----BEGIN CERTIFICATE-----",
			name,
		)
	}
	return text, nil
}

// proxies returns the proxies of the host that the build can use, and a note about those
// that it cannot. A build with a network namespace of its own does not reach a proxy on
// the loopback interface of the host.
func (h *Host) proxies(ownNetwork bool) (all []project.Variable, note string) {
	all = runner.Proxies(h.LookupEnv)
	at := slices.IndexFunc(all, func(v project.Variable) bool { return runner.Loopback(v.Value) })
	if !ownNetwork || at < 0 {
		return all, ""
	}
	return nil, fmt.Sprintf(
		"%s points to a loopback address that containers cannot reach; not passed to the build.",
		all[at].Name,
	)
}
