package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"

	"github.com/mattn/go-isatty"

	"github.com/buildlocal/buildlocal/aws"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/source"
)

// looksUp reports whether values may be looked up in the user's AWS account: the
// user says so, or names what to use of it.
func (f *runFlags) looksUp() bool {
	if f.origins["aws"].kind != fromDefault {
		return f.aws
	}
	return f.awsCredentials || f.names("profile", fromSource) || f.names("assume-role", fromSource)
}

// grants reports whether the build gets AWS credentials. Naming a profile or a role
// on the command line means that, unless the user says otherwise; in a file it does
// not, because that would give them to every build.
func (f *runFlags) grants() bool {
	if f.origins["aws-credentials"].kind != fromDefault {
		return f.awsCredentials
	}
	return f.names("profile", fromVariable) || f.names("assume-role", fromVariable)
}

// names reports whether a flag has a value that comes from a place of a kind, or of
// one that wins over it.
func (f *runFlags) names(flag string, least originKind) bool {
	value := map[string]string{"profile": f.profile, "assume-role": f.assumeRole}[flag]
	return value != "" && f.origins[flag].kind >= least
}

// grant says whose credentials a build gets, for a person.
func (f *runFlags) grant() string {
	switch {
	case !f.grants():
		return ""
	case f.assumeRole != "":
		return "those of the role " + f.assumeRole
	case f.profile != "":
		return "those of your profile " + f.profile
	}
	return "yours"
}

// roleForm is how a role is named; partitions other than aws have their own name.
var roleForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^arn:[a-z-]+:iam::[0-9]+:role/.+$`)
})

// sessionForm is what the name of a role's session may not hold (documented).
var sessionForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`[^A-Za-z0-9_+=,.@-]+`)
})

// sessionLimit is how long that name may be, in characters (documented).
const sessionLimit = 64

// readAccount opens the user's AWS account, where he lets us.
func (g *found) readAccount(ctx context.Context, a *App, f *runFlags) error {
	if !f.looksUp() && !f.grants() && !isS3(f.cache) {
		return nil
	}
	session := "buildlocal-" + sessionForm().ReplaceAllString(g.projectName(f), "-")
	account, err := aws.Open(ctx, aws.Options{
		Profile: f.profile, Region: f.region, AssumeRole: f.assumeRole, Session: session[:min(len(session), sessionLimit)], MFA: a.mfa(ctx),
	})
	if err != nil {
		return usageError{err}
	}
	if isS3(f.cache) {
		if _, err := account.Cache(f.cache); err != nil {
			return f.wrong("cache", err.Error())
		}
		g.bucket = account
	}
	if f.looksUp() || f.grants() {
		g.account, g.looksUp = account, f.looksUp()
	}
	return nil
}

// mfa returns what asks the person at the terminal for the code of a device; nil
// where nobody is there.
func (a *App) mfa(ctx context.Context) func() (string, error) {
	in, isFile := a.Stdin.(*os.File)
	out, shown := a.raw.err.(*os.File)
	if !isFile || !shown || !isatty.IsTerminal(in.Fd()) || !isatty.IsTerminal(out.Fd()) {
		return nil
	}
	return func() (string, error) {
		fmt.Fprint(a.Stderr, "MFA code: ")
		line, err := regular.WithContext(ctx, func() ([]byte, error) { return bufio.NewReader(in).ReadBytes('\n') })
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if code := strings.TrimSpace(string(line)); code != "" {
			return code, nil
		}
		return "", errors.New("no MFA code entered")
	}
}

// credentials returns what the build gets of the user's, nil for nothing. That they
// can be had is tried here: before anything is started.
func (g *found) credentials(ctx context.Context, f *runFlags) (*runner.Credentials, error) {
	if !f.grants() && !f.gitCredentials {
		return nil, nil
	}
	c := &runner.Credentials{ID: g.credentialID, GitID: newUUID(), Token: newUUID()}
	if f.gitCredentials {
		c.Git = func(ctx context.Context, question string) (string, error) {
			return source.Credentials(ctx, question)
		}
	}
	if !f.grants() {
		return c, nil
	}
	if _, err := g.account.Keys(ctx); err != nil {
		return nil, fmt.Errorf("the build would get no AWS credentials: %w", err)
	}
	c.Keys = func(ctx context.Context) (runner.Keys, error) {
		keys, err := g.account.Keys(ctx)
		return runner.Keys(keys), err
	}
	return c, nil
}
