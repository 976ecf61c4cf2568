package local

import (
	"context"
	"fmt"

	"github.com/buildlocal/buildlocal/aws"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/source"
)

// sessionNames matches characters that the name of a role's session must not contain, and
// maxSessionName is its length in characters (documented).
var sessionNames = lazyRegexp(`[^A-Za-z0-9_+=,.@-]+`)

const maxSessionName = 64

// awsAccess is the user's AWS account, as far as the request allows to use it.
type awsAccess struct {
	account *aws.Account // for values and credentials; nil if not allowed
	looksUp bool         // values may be looked up
	bucket  *aws.Account // for the cache; nil if it is not in a bucket
}

// openAWS opens the user's AWS account if the request uses it. A cache in a bucket opens the
// account for the bucket only: it gives the build neither values nor credentials.
func (h *Host) openAWS(ctx context.Context, r *Request, projectName string) (awsAccess, error) {
	if !r.looksUp() && !r.grants() && !IsS3(r.Cache.Place) {
		return awsAccess{}, nil
	}
	session := "buildlocal-" + sessionNames().ReplaceAllString(projectName, "-")
	account, err := aws.Open(ctx, aws.Options{
		Profile: r.Secrets.Profile, Region: r.Variables.Region, AssumeRole: r.Secrets.AssumeRole,
		Session: session[:min(len(session), maxSessionName)], MFA: h.MFA(),
	})
	if err != nil {
		return awsAccess{}, UsageError{err}
	}
	var access awsAccess
	if IsS3(r.Cache.Place) {
		if _, err := account.Cache(r.Cache.Place); err != nil {
			return awsAccess{}, invalid("cache", "%s", err)
		}
		access.bucket = account
	}
	if r.looksUp() || r.grants() {
		access.account, access.looksUp = account, r.looksUp()
	}
	return access, nil
}

// credentials returns the user's credentials that the build gets, or nil for none. AWS
// credentials are looked up once before anything is started.
func (in *Inputs) credentials(ctx context.Context) (*runner.Credentials, error) {
	r := in.Request
	if !r.grants() && !r.Secrets.GitCredentials {
		return nil, nil
	}
	// IDs are unguessable parts of paths: other programs on the host can reach the endpoint.
	c := &runner.Credentials{ID: in.credentialID, GitID: newUUID(), Token: newUUID(), Now: in.host.Now}
	if r.Secrets.GitCredentials {
		c.Git = source.Credentials
	}
	if !r.grants() {
		return c, nil
	}
	// An expired session is a common mistake, and the user can log in before the build starts.
	if _, err := in.aws.account.Keys(ctx); err != nil {
		return nil, fmt.Errorf("the build would get no AWS credentials: %w", err)
	}
	// Keys are looked up for each request of the build, because they expire during a long one.
	c.Keys = func(ctx context.Context) (runner.Keys, error) {
		keys, err := in.aws.account.Keys(ctx)
		return runner.Keys(keys), err
	}
	return c, nil
}
