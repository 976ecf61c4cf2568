// Package secrets looks up the values that a buildspec or a project only names,
// and hides them where the build is shown.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Need is a variable whose value stands elsewhere.
type Need struct {
	Name string // of the variable
	Kind Kind
	Ref  string // the parameter's name or ARN, or secret-id:json-key:version-stage:version-id
}

// Kind is where a value stands, as the service spells the type of a variable.
type Kind string

// The kinds.
const (
	ParameterStore Kind = "PARAMETER_STORE"
	SecretsManager Kind = "SECRETS_MANAGER"
)

// Answer is what a Store says to one Need.
type Answer struct {
	Value string
	Whole string // the JSON secret that Value is a part of, which is hidden too; else empty
	From  string // where it comes from, for a person, such as secrets.yml:4
	AWS   bool   // AWS was asked
	Err   error  // why there is no value
}

// Missing reports whether an answer only lacks a value that another store may have.
func (a Answer) Missing() bool { return errors.Is(a.Err, ErrMissing) }

// Reason says why there is no value, in the words of who refused it.
func (a Answer) Reason() string {
	return strings.TrimSuffix(a.Err.Error(), ": "+ErrRefused.Error())
}

// Errors of an Answer. Any other is that the value cannot be had now: the way to
// the store is closed, its text is wrong.
var (
	// ErrMissing is wrapped where the store does not have the value. Another
	// one may.
	ErrMissing = errors.New("not found")
	// ErrRefused is wrapped where the service, or who stands for it, has the
	// last word and does not give the value.
	ErrRefused = errors.New("refused")
)

// Store has values.
type Store interface {
	// Lookup returns one Answer for each of needs, in their order. All are
	// asked for in one call: a store may answer many at once. It ends with ctx.
	Lookup(ctx context.Context, needs []Need) []Answer
}

// Stores are asked one after the other, each for what those before it do not
// have. None of them has anything where there are none.
type Stores []Store

// Lookup asks the stores. See Store.
func (all Stores) Lookup(ctx context.Context, needs []Need) []Answer {
	answers := make([]Answer, len(needs))
	open := make([]int, len(needs)) // places of what is not answered yet
	for i, need := range needs {
		answers[i].Err = fmt.Errorf("%s: %w", need.Ref, ErrMissing)
		open[i] = i
	}
	for _, store := range all {
		var asked []Need
		for _, i := range open {
			asked = append(asked, needs[i])
		}
		if len(asked) == 0 {
			break
		}
		given := store.Lookup(ctx, asked)
		var next []int
		for n, i := range open {
			answers[i] = given[n]
			if answers[i].Missing() {
				next = append(next, i)
			}
		}
		open = next
	}
	return answers
}

// Failure is what the service says when values cannot be had, and the way out.
type Failure struct {
	StatusCode string // observed: Decrypted Variables Error, Secrets Manager Error
	Message    string
	Way        string
}

// Error returns the message.
func (f *Failure) Error() string { return f.Message }

// Resolve looks all needs up and returns the answers in their order, each with a
// value. The error is a *Failure that names all that are missing or refused; or
// another one, where the way to a store is closed, that names these too.
func Resolve(ctx context.Context, store Store, needs []Need) ([]Answer, error) {
	if len(needs) == 0 {
		return nil, nil
	}
	answers := store.Lookup(ctx, needs)
	var lacking []Need
	var without []Answer
	var closed []error
	for i, a := range answers {
		switch {
		case a.Err == nil && strings.ContainsRune(a.Value, 0):
			closed = append(closed, fmt.Errorf("the value of %s has a NUL character; a variable cannot hold one", needs[i].Name))
		case a.Missing(), errors.Is(a.Err, ErrRefused):
			lacking, without = append(lacking, needs[i]), append(without, a)
		case a.Err != nil && !slices.ContainsFunc(closed, func(e error) bool { return e.Error() == a.Err.Error() }):
			closed = append(closed, a.Err)
		}
	}
	switch {
	case len(closed) > 0 && len(lacking) > 0:
		return nil, errors.Join(append(closed, failure(lacking, without))...)
	case len(closed) > 0:
		return nil, errors.Join(closed...)
	case len(lacking) > 0:
		return nil, failure(lacking, without)
	}
	return answers, nil
}

// failure tells values that are not given as the service does; where both kinds are
// lacking it looks at Parameter Store first.
func failure(lacking []Need, answers []Answer) *Failure {
	var parameters, others, refused, names []string
	f := &Failure{StatusCode: "Secrets Manager Error"}
	asked := false // AWS
	for i, n := range lacking {
		names = append(names, n.Name)
		asked = asked || answers[i].AWS
		if n.Kind == ParameterStore {
			f.StatusCode = "Decrypted Variables Error"
		}
		switch {
		case errors.Is(answers[i].Err, ErrRefused):
			if text := answers[i].Reason(); !slices.Contains(refused, text) {
				refused = append(refused, text)
			}
		case n.Kind == ParameterStore:
			parameters = append(parameters, n.Ref)
		default:
			others = append(others, n.Ref)
		}
	}
	f.Way = "No value for " + strings.Join(names, ", ") + ": set it with -e NAME=VALUE, --env-file or in a secrets file (run buildlocal secrets init). It will be masked in the log."
	if !asked {
		f.Way += " AWS was not asked (--aws)."
	}
	var parts []string
	if len(parameters) > 0 {
		parts = append(parts, "parameter does not exist: "+strings.Join(parameters, ", "))
	}
	if len(others) > 0 {
		parts = append(parts, "secret does not exist: "+strings.Join(others, ", "))
	}
	f.Message = strings.Join(append(parts, refused...), "; ")
	return f
}
