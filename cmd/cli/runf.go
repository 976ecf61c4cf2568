package cli

import "context"

// RunF receives the options of a command after its flags were parsed and checked. The
// program passes nil to the constructors of commands, which then do their work; a test
// passes a function to see which options a command line results in.
type RunF[O any] func(context.Context, *O) error

// Or returns f, or if f is nil a function that calls work with the app.
func (f RunF[O]) Or(a *App, work func(context.Context, *App, *O) error) RunF[O] {
	if f != nil {
		return f
	}
	return func(ctx context.Context, o *O) error { return work(ctx, a, o) }
}
