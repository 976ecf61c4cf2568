// Package secrets looks up the values that a buildspec or a project only names,
// and hides them where the build is shown.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Need is a variable whose value stands elsewhere.
type Need struct {
	Name string // of the variable
	Kind Kind
	Ref  string // the parameter's name, or secret-id:json-key:version-stage:version-id
}

// Kind is where a value stands, as the service spells the type of a variable.
type Kind string

// The kinds.
const (
	ParameterStore Kind = "PARAMETER_STORE"
	SecretsManager Kind = "SECRETS_MANAGER"
)

// ErrMissing is wrapped by the error of a Store that does not have a value.
var ErrMissing = errors.New("not found")

// Store has values.
type Store interface {
	// Lookup returns the value that need names. The error wraps ErrMissing
	// when there is none.
	Lookup(ctx context.Context, need Need) (string, error)
}

// Empty is a Store without values.
type Empty struct{}

// Lookup returns ErrMissing.
func (Empty) Lookup(_ context.Context, need Need) (string, error) {
	return "", fmt.Errorf("%s: %w", need.Ref, ErrMissing)
}

// Failure is what the service says when values cannot be had, and the way out.
type Failure struct {
	StatusCode string // observed: Decrypted Variables Error, Secrets Manager Error
	Message    string
	Way        string
}

// Error returns the message.
func (f *Failure) Error() string { return f.Message }

// Resolve looks all needs up and returns the values in their order. The error
// is a *Failure that names all that are missing.
func Resolve(ctx context.Context, store Store, needs []Need) ([]string, error) {
	values := make([]string, len(needs))
	var missing []Need
	for i, need := range needs {
		value, err := store.Lookup(ctx, need)
		if errors.Is(err, ErrMissing) {
			missing = append(missing, need)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up %s: %w", need.Name, err)
		}
		values[i] = value
	}
	if len(missing) > 0 {
		return nil, failure(missing)
	}
	return values, nil
}

// failure tells missing values as the service does; where both kinds are
// missing it looks at Parameter Store first.
func failure(missing []Need) *Failure {
	var parameters, others, flags []string
	for _, n := range missing {
		flags = append(flags, "-e "+n.Name+"=VALUE")
		if n.Kind == ParameterStore {
			parameters = append(parameters, n.Ref)
			continue
		}
		others = append(others, n.Ref)
	}
	f := &Failure{Way: "Give the values on the command line (" + strings.Join(flags, " ") + ") or in a file (--env-file); they are hidden in the log."}
	f.StatusCode, f.Message = "Decrypted Variables Error", "parameter does not exist: "+strings.Join(parameters, ", ")
	if len(parameters) == 0 {
		f.StatusCode, f.Message = "Secrets Manager Error", "secret does not exist: "+strings.Join(others, ", ")
	} else if len(others) > 0 {
		f.Message += "; secret does not exist: " + strings.Join(others, ", ")
	}
	return f
}
