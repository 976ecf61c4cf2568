package runner

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/secrets"
)

// fromHost sets variables of the host's environment, with the lowest precedence: proxies,
// and the certificates that a proxy may require.
func (vs *variables) fromHost(in Inputs) {
	for _, v := range in.Host {
		next := Variable{Name: v.Name, Value: secrets.NewValue(v.Value), Origin: "your environment", Early: true}
		if user, _, found := strings.Cut(v.Value, "@"); found { // user:password, after an optional scheme
			_, password, _ := strings.Cut(user[strings.LastIndexByte(user, '/')+1:], ":")
			next.Secret, next.Password = true, secrets.NewValue(password)
		}
		vs.set(next)
	}
	if len(in.Certificates) == 0 {
		return
	}
	for _, name := range certificateVariables {
		vs.set(Variable{Name: name, Value: secrets.NewValue(allCertificates), Origin: in.CABundle, Early: true})
	}
}

// fromGrant sets the variables for the credentials endpoint.
func (vs *variables) fromGrant(in Inputs) {
	if in.CredentialID != "" {
		vs.setText(relativeURI, credentialsPath+in.CredentialID, ServiceOrigin)
	}
	if !in.Spec.Env.GitCredentialHelper || !in.GitCredentials {
		return
	}
	next := 0 // after the settings that the build has already
	if i, given := vs.at["GIT_CONFIG_COUNT"]; given {
		next, _ = strconv.Atoi(vs.all[i].Value.Reveal())
	}
	const origin = "git-credential-helper"
	vs.setText("GIT_CONFIG_COUNT", strconv.Itoa(next+1), origin)
	vs.setText(fmt.Sprintf("GIT_CONFIG_KEY_%d", next), "credential.helper", origin)
	vs.setText(fmt.Sprintf("GIT_CONFIG_VALUE_%d", next), gitHelper, origin)
}

// earlyEnv returns the variables of a privileged container's own environment: the image's
// dockerd is started before the build's shell. Other containers get all variables by
// their shell, so that the engine does not store them.
func (p *Plan) earlyEnv() []string {
	var all []string
	for _, v := range p.Variables {
		if v.Early && p.Privileged && v.Stored == nil {
			all = append(all, v.Name+"="+v.Value.Reveal())
		}
	}
	return all
}

// proxyNames are the variables of proxies. Some programs read only one of the cases.
var proxyNames = []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}

// directHosts are reached without a proxy: the container itself and its credentials.
var directHosts = []string{"localhost", "127.0.0.1", CredentialsAddress}

// Proxies returns the proxy variables of the host's environment in upper and lower case.
// The container's own addresses are added to NO_PROXY. It returns nil without a proxy.
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
			value = withDirectHosts(value)
		}
		if value != "" {
			all = append(all, project.Variable{Name: name, Value: value, Type: project.Plaintext})
		}
	}
	return all
}

// Loopback reports whether a proxy has a loopback address, which no container reaches.
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

// withDirectHosts adds directHosts to the value of NO_PROXY. A single * means all hosts,
// but only if it is the whole value.
func withDirectHosts(list string) string {
	if strings.TrimSpace(list) == "*" {
		return list
	}
	var all []string
	for _, host := range append(strings.Split(list, ","), directHosts...) {
		if host = strings.TrimSpace(host); host != "" && !slices.Contains(all, host) {
			all = append(all, host)
		}
	}
	return strings.Join(all, ",")
}
