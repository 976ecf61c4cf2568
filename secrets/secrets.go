// Package secrets looks up the values that a buildspec or a project references by
// name, and masks them in everything that the program prints.
//
// A Request names a variable and its reference in Parameter Store or Secrets Manager. A
// Store answers requests: File from a secrets file of the user, package aws from the
// user's account; Stores asks several in order. Resolve reports all missing values
// together. Value holds a text that does not print itself, and Mask replaces secrets
// in a text or a stream by Placeholder.
//
// The package has no access to AWS and does not decide which variables are secret.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Request asks for the value of one variable.
type Request struct {
	Name string // the variable's name, for messages
	Kind Kind   // the store that the reference is for
	Ref  string // the parameter's name or ARN, or secret-id:json-key:version-stage:version-id
}

// Kind is the store of a value, spelled as the type of a variable in the service.
type Kind string

// The kinds.
const (
	ParameterStore Kind = "PARAMETER_STORE"
	SecretsManager Kind = "SECRETS_MANAGER"
)

// Result is the answer of a Store to one Request.
type Result struct {
	Value Value
	Whole Value  // the JSON secret that Value was selected from; empty if no key was requested
	From  string // origin for messages, such as secrets.yml:4
	AWS   bool   // AWS was asked
	Err   error  // why there is no value; nil after success
}

// Missing reports whether this store does not have the value, so that another may be asked.
func (r Result) Missing() bool { return errors.Is(r.Err, ErrMissing) }

// Reason returns the message of Err without the suffix that marks a refusal.
func (r Result) Reason() string {
	return strings.TrimSuffix(r.Err.Error(), ": "+ErrRefused.Error())
}

// Errors of a Result. Any other error means that the store could not be asked, or that
// the entry in the store is invalid.
var (
	// ErrMissing is wrapped if the store does not have the value. Another store may.
	ErrMissing = errors.New("not found")
	// ErrRefused is wrapped if the store has the final answer and returns no value.
	ErrRefused = errors.New("refused")
)

// Store has values.
type Store interface {
	// Lookup returns one Result for each request, in the same order. One call asks for
	// everything because a store may answer many requests at once. It returns when ctx
	// is done.
	Lookup(ctx context.Context, requests []Request) []Result
}

// Stores asks several stores in order, each only for the values that the stores before
// it do not have. The zero value has no values.
type Stores []Store

// Lookup implements Store.
func (all Stores) Lookup(ctx context.Context, requests []Request) []Result {
	results := make([]Result, len(requests))
	open := make([]int, len(requests)) // indexes of requests without a final answer
	for i, r := range requests {
		results[i].Err = fmt.Errorf("%s: %w", r.Ref, ErrMissing)
		open[i] = i
	}
	for _, store := range all {
		if len(open) == 0 {
			break
		}
		asked := make([]Request, len(open))
		for n, i := range open {
			asked[n] = requests[i]
		}
		given := store.Lookup(ctx, asked)
		var next []int
		for n, i := range open {
			results[i] = given[n]
			if results[i].Missing() {
				next = append(next, i)
			}
		}
		open = next
	}
	return results
}

// Failure reports values that are missing or refused, in the words of the service.
type Failure struct {
	StatusCode string // observed: Decrypted Variables Error, Secrets Manager Error
	Message    string
	Names      []string // variables without a value, in the order of the requests
	Reason     string   // cause in plain words, such as: no value for TOKEN
	Hint       string   // the next step for the user
}

// Error returns the message.
func (f *Failure) Error() string { return f.Message }

// Resolve looks up all requests and returns their results, each with a value. The error
// is a *Failure if values are missing or refused. If a store could not be asked, it is
// another error, joined with the *Failure of the remaining requests.
func Resolve(ctx context.Context, store Store, requests []Request) (map[Request]Result, error) {
	if len(requests) == 0 {
		return nil, nil
	}
	resolved := make(map[Request]Result, len(requests))
	var lacking []lack
	var failed []error // stores that could not be asked
	for i, r := range store.Lookup(ctx, requests) {
		switch {
		case r.Err == nil && strings.ContainsRune(r.Value.Reveal(), 0):
			failed = append(failed, fmt.Errorf("the value of %s contains a NUL character, "+
				"which a variable cannot hold", requests[i].Name))
		case r.Err == nil:
			resolved[requests[i]] = r
		case r.Missing(), errors.Is(r.Err, ErrRefused):
			lacking = append(lacking, lack{requests[i], r})
		case !slices.ContainsFunc(failed, func(e error) bool { return e.Error() == r.Err.Error() }):
			failed = append(failed, r.Err) // the same error for each request is reported once
		}
	}
	switch {
	case len(failed) > 0 && len(lacking) > 0:
		return nil, errors.Join(append(failed, failure(lacking))...)
	case len(failed) > 0:
		return nil, errors.Join(failed...)
	case len(lacking) > 0:
		return nil, failure(lacking)
	}
	return resolved, nil
}

// lack is a request without a value, and the reason.
type lack struct {
	Request
	result Result
}

// failure reports missing values as the service does. If both stores lack a value, the
// service reports Parameter Store's status code, because it asks that store first.
func failure(all []lack) *Failure {
	var parameters, others, refused, missing []string
	f := &Failure{StatusCode: "Secrets Manager Error"}
	asked := false // AWS
	for _, l := range all {
		f.Names = append(f.Names, l.Name)
		asked = asked || l.result.AWS
		if l.Kind == ParameterStore {
			f.StatusCode = "Decrypted Variables Error"
		}
		switch {
		case errors.Is(l.result.Err, ErrRefused):
			if text := l.result.Reason(); !slices.Contains(refused, text) {
				refused = append(refused, text)
			}
			continue
		case l.Kind == ParameterStore:
			parameters = append(parameters, l.Ref)
		default:
			others = append(others, l.Ref)
		}
		missing = append(missing, l.Name)
	}
	f.Reason = strings.Join(append(noValue(missing), refused...), "; ")
	f.Hint = hint(f.Names, asked)
	var parts []string
	if len(parameters) > 0 {
		parts = append(parts, "parameter does not exist: "+strings.Join(parameters, ", "))
	}
	if len(others) > 0 {
		text := "secret does not exist: " + strings.Join(others, ", ")
		if len(parameters) == 0 { // the service's text, before ours
			text = "ResourceNotFoundException: Secrets Manager can't find the specified secret. " + text
		}
		parts = append(parts, text)
	}
	f.Message = strings.Join(append(parts, refused...), "; ")
	return f
}

// noValue returns the cause for variables whose values no store has, or nil.
func noValue(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	return []string{"no value for " + strings.Join(names, ", ")}
}

// hint returns the ways to give variables a value. asked says that AWS is one of the stores
// already.
func hint(names []string, asked bool) string {
	name := "NAME"
	if len(names) == 1 {
		name = names[0]
	}
	ways := []string{"-e " + name + "=VALUE", "buildlocal secrets init"}
	if !asked {
		ways = append(ways, "--aws to ask AWS")
	}
	return strings.Join(ways, ", or ")
}
