package runner

import (
	"context"
	"net/url"
	"time"

	"github.com/buildlocal/buildlocal/secrets"
)

// variableValues has the values of the plan's variables, by name, after SUBMITTED. The
// parts of a build share it and only read it.
type variableValues map[string]secrets.Value

// slowLookup is the time after which a note says that values are still looked up.
const slowLookup = 2 * time.Second

// submit looks up values in the stores, before a container is created.
func (b *build) submit(ctx context.Context) result {
	store := b.Store
	if store == nil {
		store = secrets.Stores{}
	}
	slow := time.AfterFunc(slowLookup, func() {
		b.rec.note("Still looking up values of Parameter Store and Secrets Manager.")
	})
	found, err := secrets.Resolve(ctx, store, b.plan.Requests())
	slow.Stop()
	b.secretsErr = err
	for _, v := range b.plan.Variables {
		value := v.Value
		if v.Stored != nil && err == nil {
			value = found[*v.Stored].Value
			b.rec.hide(found[*v.Stored].Whole.Reveal())
		}
		b.values[v.Name] = value
		if v.Stored != nil || v.Secret {
			b.rec.hide(value.Reveal())
			b.rec.hide(secrets.JSONStrings(value.Reveal())...)
			b.noteUnmasked(v, value.Reveal())
		}
	}
	return result{}
}

// noteUnmasked warns about a secret that is too short to mask, and about an empty value
// from a store, which usually is a mistake.
func (b *build) noteUnmasked(v Variable, value string) {
	switch {
	case b.secretsErr != nil || secrets.Maskable(value):
	case value == "" && v.Stored != nil:
		b.rec.note("The value of %s is empty: %s is an empty string.", v.Name, v.Stored.Ref)
	case value != "":
		b.rec.note("The value of %s is too short to be masked in the log.", v.Name)
	}
}

// queue decides where a build continues: without its values it needs no container.
func (b *build) queue(context.Context) result {
	if b.secretsErr != nil {
		return result{next: DownloadSource}
	}
	return result{}
}

// secrets returns the values that must be masked before any lookup: those of secret
// variables, and passwords in URLs with and without their escapes.
func (p *Plan) secrets() []string {
	var all []string
	for _, v := range p.Variables {
		if !v.Secret {
			continue
		}
		password := v.Password.Reveal()
		all = append(all, v.Value.Reveal(), password)
		if plain, err := url.PathUnescape(password); err == nil {
			all = append(all, plain)
		}
	}
	return all
}

// Requests returns the values that the build needs from Parameter Store and Secrets
// Manager.
func (p *Plan) Requests() []secrets.Request {
	var all []secrets.Request
	for _, v := range p.Variables {
		if v.Stored != nil {
			all = append(all, *v.Stored)
		}
	}
	return all
}
