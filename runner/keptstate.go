package runner

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner/shell"
	"github.com/buildlocal/buildlocal/secrets"
)

// KeptState is the state that the commands of a build pass on to each other, for another process.
// It contains no value of a secret.
type KeptState struct {
	Dir       string         `json:"directory"`
	Variables []KeptVariable `json:"variables"`
}

// KeptVariable is a variable of a KeptState.
type KeptVariable struct {
	Name string `json:"name"`
	// Anew is set if no command has changed the variable, so that the process that goes on sets it.
	Anew bool `json:"anew,omitempty"`
	// Value are the parts of the value, which are joined.
	Value []KeptText `json:"value,omitempty"`
}

// KeptText is a text, or the value of a secret that is looked up again.
type KeptText struct {
	Text   string `json:"text,omitempty"`
	Secret string `json:"secret,omitempty"` // name of the variable that the plan gets from a store
	Field  string `json:"field,omitempty"`  // place of a text in it, see secrets.JSONFields; "" for all of it
}

// stateKeeper turns the state of shells into KeptStates.
type stateKeeper struct {
	*build
	found []foundSecret // the longest first

	mu   sync.Mutex
	lost []string // variables that contain a secret in a form that cannot be looked up
}

// foundSecret is a value that must not be kept.
type foundSecret struct {
	value string
	at    KeptText
}

func newStateKeeper(b *build) *stateKeeper {
	k := &stateKeeper{build: b}
	for _, v := range b.plan.Variables {
		if v.Stored == nil && !v.Secret {
			continue
		}
		value := b.values[v.Name].Reveal()
		k.found = append(k.found, foundSecret{value, KeptText{Secret: v.Name}})
		for at, field := range secrets.JSONFields(value) {
			k.found = append(k.found, foundSecret{field, KeptText{Secret: v.Name, Field: at}})
		}
	}
	k.found = slices.DeleteFunc(k.found, func(f foundSecret) bool { return !secrets.Maskable(f.value) })
	slices.SortStableFunc(k.found, func(a, b foundSecret) int { return cmp.Compare(len(b.value), len(a.value)) })
	return k
}

// read returns the state that is in two files of the state's directory.
func (k *stateKeeper) read(ctx context.Context, env, dir string) (KeptState, error) {
	var out strings.Builder
	p := LiveProcess{Process: engine.Process{Args: []string{"sh", "-c", PrintState}}}
	args := enterArgs(k.live.shell(), StateDir+"/"+env, StateDir+"/"+dir, k.live.sourceDir(), p)
	exit, err := k.container.Exec(ctx, engine.Process{Args: args, Stdout: &out})
	if err == nil && exit != 0 {
		err = fmt.Errorf("exit status %d", exit)
	}
	if err != nil {
		return KeptState{}, fmt.Errorf("read the variables of the build: %w", err)
	}
	state := ParseState(out.String())
	kept := KeptState{Dir: state.Dir}
	for _, v := range state.Variables {
		if slices.Contains(ownOfShell, v.Name) {
			continue
		}
		if variable, ok := k.keep(v); ok {
			kept.Variables = append(kept.Variables, variable)
		}
	}
	return kept, nil
}

// keep returns a variable without values of secrets, and false if they cannot be removed.
func (k *stateKeeper) keep(v NameValue) (KeptVariable, bool) {
	at := slices.IndexFunc(k.plan.Variables, func(p Variable) bool { return p.Name == v.Name })
	given := at >= 0 && k.values[v.Name].Reveal() == v.Value
	switch {
	case given, isVolatile(v.Name) && at < 0:
		return KeptVariable{Name: v.Name, Anew: true}, true
	}
	parts := k.split(v.Value, k.found)
	for _, part := range parts {
		if part.Secret == "" && k.rec.isSecret(part.Text) {
			k.mu.Lock()
			k.lost = append(k.lost, v.Name)
			k.mu.Unlock()
			return KeptVariable{}, false
		}
	}
	return KeptVariable{Name: v.Name, Value: parts}, true
}

// split splits a text at the values of secrets.
func (k *stateKeeper) split(text string, found []foundSecret) []KeptText {
	switch {
	case text == "":
		return nil
	case len(found) == 0:
		return []KeptText{{Text: text}}
	}
	var all []KeptText
	for i, part := range strings.Split(text, found[0].value) {
		if i > 0 {
			all = append(all, found[0].at)
		}
		all = append(all, k.split(part, found[1:])...)
	}
	return all
}

// value returns the value of a kept variable, and false if a secret has lost the part that it needs.
func (b *build) keptValue(v KeptVariable) (string, bool) {
	var all strings.Builder
	for _, part := range v.Value {
		value := b.values[part.Secret].Reveal()
		switch field, has := secrets.JSONFields(value)[part.Field]; {
		case part.Secret == "":
			all.WriteString(part.Text)
		case part.Field == "":
			all.WriteString(value)
		case has:
			all.WriteString(field)
		default:
			return "", false
		}
	}
	return all.String(), true
}

// changesTo returns the lines of shell that turn variables with some names into a kept state. The
// names are those of the kept state afterwards.
func (b *build) changesTo(state KeptState, names map[string]bool) []string {
	var lines, lost []string
	next := map[string]bool{}
	for _, v := range state.Variables {
		next[v.Name] = true
		if v.Anew {
			continue
		}
		value, ok := b.keptValue(v)
		if !ok {
			lost = append(lost, v.Name)
			continue
		}
		lines = append(lines, shell.Export(v.Name, value))
	}
	for name := range names {
		if !next[name] && !slices.Contains(ownOfShell, name) && !isVolatile(name) {
			lines = append(lines, "unset "+name)
		}
		delete(names, name)
	}
	for name := range next {
		names[name] = true
	}
	if len(lost) > 0 {
		b.rec.note("%s not restored: a secret has changed.", human.Series(lost))
	}
	return lines
}
