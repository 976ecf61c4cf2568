// Package aws accesses the user's AWS account: credentials, found as the AWS CLI finds
// them, values of Parameter Store and Secrets Manager, and caches in S3.
package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"github.com/buildlocal/buildlocal/secrets"
)

// Options choose an account.
type Options struct {
	Profile    string // in ~/.aws/config; if empty, AWS_PROFILE or the default
	Region     string // if empty, the configured region or us-east-1
	AssumeRole string // ARN of a role to assume; may be empty
	Session    string // names the session of AssumeRole, in the account's logs
	// MFA prompts for the code of an MFA device. It is nil if there is no terminal.
	MFA func() (string, error)
	// Patience is how long one request may take; 0 for five seconds. It does not limit transfers to
	// and from S3.
	Patience time.Duration
}

// Account is an AWS account with one identity.
type Account struct {
	// Its credentials provider caches and renews the keys.
	config sdk.Config
	o      Options
}

// Keys are credentials for AWS.
type Keys struct {
	AccessKeyID, SecretAccessKey string
	SessionToken                 string    // empty for keys of a user, which stay
	Expires                      time.Time // zero for keys that stay
}

// Times for credentials. Served credentials stay valid for at least early. A role is
// assumed for an hour, the maximum for a chain of roles (documented).
const (
	refreshBefore = 10 * time.Minute
	roleTime      = time.Hour
)

// maxAttempts is how often a request is sent in total if it fails for a temporary reason, such as
// throttling.
const maxAttempts = 3

// Open reads the configuration of the AWS tools: profiles, SSO, roles, MFA,
// credential_process, endpoints. No request is made yet. The error describes the
// problem of the configuration.
func Open(ctx context.Context, o Options) (*Account, error) {
	if o.Patience == 0 {
		o.Patience = 5 * time.Second
	}
	// Without a token provider the SDK fails with a message about its own API.
	ask := o.MFA
	if ask == nil {
		ask = func() (string, error) { return "", errors.New("an MFA code is asked for, and there is no terminal") }
	}
	c, err := config.LoadDefaultConfig(ctx,
		// us-east-1 is only a default: CodeBuild's variables need a region, although a build need not use
		// AWS.
		config.WithSharedConfigProfile(o.Profile), config.WithRegion(o.Region), config.WithDefaultRegion("us-east-1"),
		// The SDK would log warnings to the standard error.
		config.WithLogger(logging.Nop{}), config.WithHTTPClient(http.NewBuildableClient().WithTimeout(o.Patience)),
		config.WithRetryer(func() sdk.Retryer {
			return retry.NewStandard(func(s *retry.StandardOptions) { s.MaxAttempts, s.MaxBackoff = maxAttempts, time.Second })
		}),
		config.WithAssumeRoleCredentialOptions(func(a *stscreds.AssumeRoleOptions) { a.TokenProvider = ask }),
		config.WithCredentialsCacheOptions(func(c *sdk.CredentialsCacheOptions) { c.ExpiryWindow = refreshBefore }),
	)
	// A misspelled profile is the most common mistake, and the message of the SDK does not say which
	// files it has read.
	var none config.SharedConfigProfileNotExistError
	if errors.As(err, &none) {
		return nil, fmt.Errorf("there is no profile %s in the configuration of the AWS tools\nThey look into "+
			"~/.aws/config and ~/.aws/credentials, or where AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE lead (aws "+
			"configure list-profiles)", o.Profile)
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration of AWS: %w", err)
	}
	a := &Account{config: c, o: o}
	if o.AssumeRole != "" {
		// The role is assumed with the credentials of the profile, which may come from a role themselves.
		role := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(c), o.AssumeRole, func(r *stscreds.AssumeRoleOptions) {
			r.RoleSessionName, r.Duration, r.TokenProvider = o.Session, roleTime, ask
		})
		a.config.Credentials = sdk.NewCredentialsCache(role, func(c *sdk.CredentialsCacheOptions) {
			c.ExpiryWindow = refreshBefore
		})
	}
	return a, nil
}

// String describes the identity for messages, without its credentials.
func (a *Account) String() string {
	switch {
	case a.o.AssumeRole != "":
		return "AWS, role " + a.o.AssumeRole
	case a.o.Profile != "":
		return "AWS, profile " + a.o.Profile
	}
	return "AWS"
}

// Region returns the region of requests and of the build.
func (a *Account) Region() string { return a.config.Region }

// Keys returns credentials that are valid for at least ten minutes. It renews them if necessary, and
// may prompt for an MFA code. The error has a hint how to log in.
func (a *Account) Keys(ctx context.Context) (Keys, error) {
	c, err := a.config.Credentials.Retrieve(ctx)
	if err != nil {
		return Keys{}, a.explain(ctx, "", err)
	}
	k := Keys{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}
	if c.CanExpire {
		// The cache moves it forward by as much as it renews early.
		k.Expires = c.Expires.Add(refreshBefore)
	}
	return k, nil
}

// explain turns an error of the SDK into a message with a hint. Errors of the service keep
// its wording, and wrap secrets.ErrRefused unless the credentials themselves are invalid:
// CodeBuild shows those messages in the log.
func (a *Account) explain(ctx context.Context, action string, err error) error {
	// The SDK reports a cancelled context as an error of the request.
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var expired *ssocreds.InvalidTokenError
	var answer smithy.APIError
	var response *http.ResponseError
	var process *processcreds.ProviderError
	var timeout net.Error
	var request *url.Error
	switch {
	case errors.As(err, &expired), strings.Contains(err.Error(), "cached SSO token"): // which has no type
		return fmt.Errorf("no valid SSO session%s\nLog in with: aws sso login%s", a.ofProfile(), a.profileFlag())
	// The program may print parts of credentials, so its output is not repeated.
	case errors.As(err, &process):
		return fmt.Errorf("credential_process%s returned no credentials; run it by hand to see why (its output may "+
			"contain secrets)", a.ofProfile())
	case errors.As(err, &answer):
		// From here on AWS has responded: the network works.
		text := answer.ErrorCode() + ": " + answer.ErrorMessage()
		if errors.As(err, &response) {
			// As the service shows it (observed).
			text += fmt.Sprintf("\n    status code: %d, request id: %s", response.HTTPStatusCode(), response.RequestID)
		}
		if action == "" || ofCredentials(answer.ErrorCode()) {
			return fmt.Errorf("the credentials%s cannot be used: %s%s", a.ofProfile(), text, a.hint(answer.ErrorCode()))
		}
		return fmt.Errorf("%s: %w", text, secrets.ErrRefused)
	// A timeout is tested before url.Error, which wraps it.
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("AWS does not answer: %s took more than %v, several "+
			"times%s", cmp.Or(action, "a request for credentials"), a.o.Patience, unreachable)
	case errors.As(err, &request):
		return fmt.Errorf("AWS cannot be reached: %w%s", request, unreachable)
	}
	// The SDK asks the metadata service of EC2 last, so an error from there means that no other source
	// has credentials.
	if strings.Contains(err.Error(), "EC2 IMDS") { // the last place that is looked into
		return fmt.Errorf("no AWS credentials were found: neither in variables (AWS_ACCESS_KEY_ID and "+
			"AWS_SECRET_ACCESS_KEY) nor in a profile%s\nLog in (aws sso login, aws configure), or name another profile with "+
			"--profile", a.named())
	}
	return fmt.Errorf("%s%w\nSee whether this shell has credentials (aws sts get-caller-identity%s), or name a "+
		"profile with --profile", prefix(action), shortened(err), a.profileFlag())
}

// unreachable is the hint if AWS does not respond.
const unreachable = "\nCheck the network, AWS_ENDPOINT_URL and HTTPS_PROXY"

// ofCredentials reports whether an error code means that the credentials are invalid, rather than
// that the request is not allowed. The same mistake has different codes in different services
// (documented in their lists of common errors).
func ofCredentials(code string) bool {
	switch code {
	case "ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId",
		"InvalidSignatureException",
		"SignatureDoesNotMatch", "MissingAuthenticationToken", "MissingAuthenticationTokenException", "UnauthorizedException":
		return true
	}
	return false
}

// hint returns the next step for an error code, as a line of its own.
func (a *Account) hint(code string) string {
	if strings.HasPrefix(code, "ExpiredToken") || code == "UnauthorizedException" || code == "InvalidGrantException" {
		return "\nGet new ones, for instance with: aws sso login" + a.profileFlag()
	}
	return ""
}

// ofProfile returns a suffix for messages that names the profile, if the user chose one.
func (a *Account) ofProfile() string {
	if a.o.Profile == "" {
		return ""
	}
	return " of the profile " + a.o.Profile
}

// named returns a suffix with the profile that was searched.
func (a *Account) named() string {
	if a.o.Profile == "" {
		return ""
	}
	return ", and " + a.o.Profile + " has none"
}

// profileFlag returns the profile as a flag of the AWS CLI, so that hints can be pasted.
func (a *Account) profileFlag() string {
	if a.o.Profile == "" {
		return ""
	}
	return " --profile " + a.o.Profile
}

// shortened removes the SDK's descriptions of its operations from an error, which repeat
// each other.
func shortened(err error) error {
	for {
		var operation *smithy.OperationError
		var retried *retry.MaxAttemptsError
		switch {
		case errors.As(err, &operation) && operation.Err != nil:
			err = operation.Err
		case errors.As(err, &retried) && retried.Err != nil:
			err = retried.Err
		default:
			return err
		}
	}
}

// prefix returns the name of an operation as the prefix of a message.
func prefix(action string) string {
	if action == "" {
		return ""
	}
	return action + ": "
}
