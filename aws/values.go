package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/buildlocal/buildlocal/secrets"
)

// maxNames is the maximum number of parameters of one GetParameters request (documented).
const maxNames = 10

// maxRequests is how many requests are made concurrently. A build rarely has more than ten secrets.
const maxRequests = 8

// Lookup asks Parameter Store, ten values in a request, and Secrets Manager, each
// secret once. See secrets.Store.
func (a *Account) Lookup(ctx context.Context, needs []secrets.Request) []secrets.Result {
	// Each goroutine writes to the elements of its own requests, so there is no lock.
	answers := make([]secrets.Result, len(needs))
	parameters, others := map[string][]int{}, map[secrets.Reference][]int{}
	for i, n := range needs {
		answers[i].From, answers[i].AWS = a.String(), true
		if n.Kind == secrets.ParameterStore {
			parameters[n.Ref] = append(parameters[n.Ref], i)
			continue
		}
		ref, err := secrets.ParseReference(n.Ref)
		if err != nil {
			answers[i].Err = fmt.Errorf("%w: %w", err, secrets.ErrRefused)
			continue
		}
		// Several keys of one secret need a single request; AWS charges for each.
		ref.JSONKey = ""
		others[ref] = append(others[ref], i)
	}
	var group sync.WaitGroup
	turn := make(chan struct{}, maxRequests)
	do := func(work func()) {
		group.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			work()
		})
	}
	// Sorting makes the requests the same in each run, for the tests and for the user's CloudTrail.
	for names := range slices.Chunk(sorted(parameters), maxNames) {
		do(func() { a.parameters(ctx, names, parameters, answers) })
	}
	client := secretsmanager.NewFromConfig(a.config)
	for ref, places := range others {
		do(func() {
			text, err := a.secret(ctx, client, ref)
			for _, i := range places {
				answers[i] = a.partOf(text, err, needs[i])
			}
		})
	}
	group.Wait()
	return answers
}

func sorted(all map[string][]int) []string {
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// parameters asks for some names, and writes the answers to their places.
func (a *Account) parameters(ctx context.Context, names []string, places map[string][]int, answers []secrets.Result) {
	set := func(name, value string, err error) {
		for _, i := range places[name] {
			answers[i].Value, answers[i].Err = secrets.NewValue(value), err
		}
	}
	out, err := ssm.NewFromConfig(a.config).GetParameters(ctx, &ssm.GetParametersInput{Names: names,
		WithDecryption: sdk.Bool(true)})
	if err != nil {
		err = a.explain(ctx, "ssm:GetParameters", err)
	}
	for _, name := range names {
		switch {
		case err != nil:
			set(name, "", err)
		case slices.Contains(out.InvalidParameters, name):
			set(name, "", fmt.Errorf("%s: %w", name, secrets.ErrMissing))
		default:
			value := find(out.Parameters, name)
			if value == nil {
				set(name, "", fmt.Errorf("ssm:GetParameters: the response does not contain %s", name))
				continue
			}
			set(name, *value, nil)
		}
	}
}

// find returns the value of a parameter, which is named by its name or ARN, and
// perhaps a version or label.
func find(all []types.Parameter, name string) *string {
	for _, p := range all {
		for _, base := range []string{sdk.ToString(p.Name), sdk.ToString(p.ARN)} {
			if base != "" && (name == base || name == base+sdk.ToString(p.Selector)) {
				return p.Value
			}
		}
	}
	return nil
}

// secret returns the text of a secret version. Binary secrets are refused: a variable cannot hold
// them.
func (a *Account) secret(ctx context.Context, client *secretsmanager.Client, ref secrets.Reference) (string, error) {
	in := &secretsmanager.GetSecretValueInput{SecretId: &ref.SecretID}
	if ref.VersionStage != "" {
		in.VersionStage = &ref.VersionStage
	}
	if ref.VersionID != "" {
		in.VersionId = &ref.VersionID
	}
	out, err := client.GetSecretValue(ctx, in)
	var missing *sm.ResourceNotFoundException
	var code smithy.APIError
	switch {
	case errors.As(err, &missing), errors.As(err, &code) && code.ErrorCode() == "ResourceNotFoundException":
		return "", fmt.Errorf("%s: %w", ref.SecretID, secrets.ErrMissing)
	case err != nil:
		return "", a.explain(ctx, "secretsmanager:GetSecretValue", err)
	// The response has either a SecretString or a SecretBinary.
	case out.SecretString == nil:
		return "", fmt.Errorf("secret %s has no SecretString, only a SecretBinary: %w", ref.SecretID, secrets.ErrRefused)
	}
	return *out.SecretString, nil
}

// partOf returns the result of a request from the value of its secret: the whole text, or the value
// of one of its JSON keys.
func (a *Account) partOf(text string, err error, need secrets.Request) secrets.Result {
	ref, _ := secrets.ParseReference(need.Ref)
	answer := secrets.Result{Value: secrets.NewValue(text), From: a.String(), AWS: true, Err: err}
	if err == nil && ref.JSONKey != "" {
		part, err := secrets.Part(text, ref.JSONKey, need.Ref)
		answer.Whole, answer.Value, answer.Err = secrets.NewValue(text), secrets.NewValue(part), err
	}
	return answer
}
