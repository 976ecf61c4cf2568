package runner

import (
	"context"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/treecopy"
)

// Certificate files in the container: the given ones, and those together with the
// image's own.
const (
	certificateDir    = "/codebuild/certificates"
	givenCertificates = "given.pem"
	allCertificates   = certificateDir + "/all.pem"
)

// certificateVariables name the file of all certificates for programs linked with OpenSSL
// or written in Go, such as dockerd; for curl, git, pip and other Python programs; for AWS
// tools; and for Node.js.
var certificateVariables = []string{
	"SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE",
	"NODE_EXTRA_CA_CERTS",
}

// trustCertificates is a command that appends the given certificates to those of the
// image, for programs that read no variable, and creates the file of all certificates.
const trustCertificates = `given=` + certificateDir + "/" + givenCertificates + ` all=` + allCertificates + `; ` +
	`for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt ` +
	`/etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do ` +
	`[ -f "$file" ] && { echo; cat "$given"; } >>"$file" && { [ -f "$all" ] || cat "$file" >"$all"; }; done; ` +
	`[ -f "$all" ] || cat "$given" >"$all"; chmod a+r "$all"`

// copyCertificates copies PEM certificates into the container.
func copyCertificates(ctx context.Context, c engine.Container, certificates []byte) error {
	if len(certificates) == 0 {
		return nil
	}
	const readable = 0o644
	files := treecopy.Stream(treecopy.Text(givenCertificates, readable, string(certificates)))
	defer files.Close()
	return c.CopyIn(ctx, certificateDir, files)
}
