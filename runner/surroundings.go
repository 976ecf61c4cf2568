package runner

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/project"
)

// Files of certificates in the build: those that were given, and those with the
// image's own.
const (
	certificateDir    = "/codebuild/certificates"
	givenCertificates = "given.pem"
	certificates      = certificateDir + "/all.pem"
)

// certificateVariables name a file of all certificates, to curl, git, pip and other
// programs in Python, the AWS tools, and what is linked with OpenSSL or written in
// Go, such as dockerd.
var certificateVariables = []string{"SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"}

// trustCertificates is a command that adds the given certificates to the image's,
// for programs that look nowhere else, and makes one file of all.
const trustCertificates = `given=` + certificateDir + "/" + givenCertificates + ` all=` + certificates + `; ` +
	`for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do ` +
	`[ -f "$file" ] && { echo; cat "$given"; } >>"$file" && { [ -f "$all" ] || cat "$file" >"$all"; }; done; ` +
	`[ -f "$all" ] || cat "$given" >"$all"; chmod a+r "$all"`

// copyCertificates brings the given certificates into the container.
func (b *build) copyCertificates(ctx context.Context) error {
	if len(b.plan.Certificates) == 0 {
		return nil
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: givenCertificates, Mode: 0o644, Size: int64(len(b.plan.Certificates)), Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	if _, err := w.Write(b.plan.Certificates); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return b.container.CopyIn(ctx, certificateDir, &archive)
}

// fromHost sets what a build gets of this machine's surroundings, weaker than all
// else: a proxy, and certificates.
func (vs *variables) fromHost(in Inputs) {
	for _, v := range in.Host {
		next := Variable{Name: v.Name, Value: v.Value, Origin: "your environment", Early: true}
		if user, _, found := strings.Cut(v.Value, "@"); found { // with a scheme or without
			next.Secret = true
			_, next.Password, _ = strings.Cut(user[strings.LastIndexByte(user, '/')+1:], ":")
		}
		vs.set(next)
	}
	if len(in.Certificates) == 0 {
		return
	}
	for _, name := range certificateVariables {
		vs.set(Variable{Name: name, Value: certificates, Origin: in.CABundle, Early: true})
	}
}

// fromGrant sets what leads the AWS tools to the credentials endpoint.
func (vs *variables) fromGrant(in Inputs) {
	if in.CredentialID != "" {
		vs.set(Variable{Name: relativeURI, Value: credentialsPath + in.CredentialID, Origin: serviceOrigin})
	}
	if !in.Spec.Env.GitCredentialHelper || !in.GitCredentials {
		return
	}
	next := 0 // behind the settings that are given already
	if i, given := vs.at["GIT_CONFIG_COUNT"]; given {
		next, _ = strconv.Atoi(vs.all[i].Value)
	}
	set := func(name, value string) {
		vs.set(Variable{Name: name, Value: value, Origin: "git-credential-helper"})
	}
	set("GIT_CONFIG_COUNT", strconv.Itoa(next+1))
	set(fmt.Sprintf("GIT_CONFIG_KEY_%d", next), "credential.helper")
	set(fmt.Sprintf("GIT_CONFIG_VALUE_%d", next), gitHelper)
}

// earlyEnv is what a privileged container has from its start: the image's own dockerd
// is started before the build's shell.
func (p *Plan) earlyEnv() []string {
	var all []string
	for _, v := range p.Variables {
		if v.Early && p.Privileged && v.Stored == nil {
			all = append(all, v.Name+"="+v.Value)
		}
	}
	return all
}

// proxyNames are the variables of proxies, in the case that both sorts of programs
// look for.
var proxyNames = []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}

// direct is what no proxy is asked for: the build itself, and its credentials.
var direct = []string{"localhost", "127.0.0.1", CredentialsAddress}

// Proxies returns the variables of proxies that a machine's environment has, in
// upper and lower case, with the addresses that are the build's own left out of
// them; nothing where there are none.
func Proxies(lookup func(string) (string, bool)) []project.Variable {
	values := map[string]string{}
	for _, name := range proxyNames {
		values[name], _ = lookup(name)
	}
	for _, name := range proxyNames {
		other := strings.ToLower(name)
		if other == name {
			other = strings.ToUpper(name)
		}
		values[name] = cmp.Or(values[name], values[other])
	}
	if values["HTTP_PROXY"] == "" && values["HTTPS_PROXY"] == "" {
		return nil
	}
	var all []project.Variable
	for _, name := range proxyNames {
		value := values[name]
		if strings.EqualFold(name, "NO_PROXY") {
			value = withoutProxy(value)
		}
		if value != "" {
			all = append(all, project.Variable{Name: name, Value: value, Type: project.Plaintext})
		}
	}
	return all
}

// Loopback reports whether a proxy is at an address of this machine that no container
// reaches.
func Loopback(proxy string) bool {
	if !strings.Contains(proxy, "://") {
		proxy = "http://" + proxy
	}
	u, err := url.Parse(proxy)
	if err != nil {
		return false
	}
	return u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()
}

func withoutProxy(list string) string {
	var all []string
	if strings.TrimSpace(list) == "*" {
		return list // which means all only by itself
	}
	for _, host := range append(strings.Split(list, ","), direct...) {
		if host = strings.TrimSpace(host); host != "" && !slices.Contains(all, host) {
			all = append(all, host)
		}
	}
	return strings.Join(all, ",")
}
