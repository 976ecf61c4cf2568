package runner

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/secrets"
)

// keeperOf returns a stateKeeper of a build with values for its variables.
func keeperOf(values map[string]string) *stateKeeper {
	p := &Plan{Sources: []Source{{Digits: "1"}}}
	for _, name := range []string{"TOKEN", "DOCUMENT"} {
		p.Variables = append(p.Variables, Variable{Name: name, Secret: true, Stored: &secrets.Request{Name: name}})
	}
	p.Variables = append(p.Variables, Variable{Name: "CODEBUILD_BUILD_ID", Value: secrets.NewValue("p:1")})
	b := newBuild(&Runner{Now: time.Now}, p)
	for name, value := range values {
		b.values[name] = secrets.NewValue(value)
		if name != "CODEBUILD_BUILD_ID" {
			b.rec.hide(value)
			b.rec.hide(secrets.JSONStrings(value)...)
		}
	}
	return newStateKeeper(b)
}

func TestKeptState_ValuesOfSecretsAreLookedUpAgain(t *testing.T) {
	old := keeperOf(map[string]string{
		"TOKEN": "old-token-1", "DOCUMENT": `{"user":"old-user","password":"old-password"}`, "CODEBUILD_BUILD_ID": "p:1",
	})
	next := keeperOf(map[string]string{
		"TOKEN": "new-token-22", "DOCUMENT": `{"user":"new-user","password":"new-password"}`, "CODEBUILD_BUILD_ID": "p:2",
	})
	for _, c := range []struct{ name, value, want string }{
		{"URL", "https://old-user:old-password@host/old-token-1", "https://new-user:new-password@host/new-token-22"},
		{"COPY", `{"user":"old-user","password":"old-password"}`, `{"user":"new-user","password":"new-password"}`},
		{"PLAIN", "it's\nplain $X", "it's\nplain $X"},
		{"EMPTY", "", ""},
		{"CODEBUILD_BUILD_ID", "changed by a command", "changed by a command"},
	} {
		kept, ok := old.keep(NameValue{c.name, c.value})
		text, err := json.Marshal(kept)
		if !ok || err != nil || strings.Contains(string(text), "old-") {
			t.Errorf("%s is kept as %s, %v", c.name, text, err)
		}
		if got, ok := next.keptValue(kept); !ok || got != c.want {
			t.Errorf("%s is %q, want %q", c.name, got, c.want)
		}
	}
	for _, v := range []NameValue{{"CODEBUILD_BUILD_ID", "p:1"}, {"TOKEN", "old-token-1"}} {
		if kept, _ := old.keep(v); !kept.Anew || kept.Value != nil {
			t.Errorf("a variable that no command has changed is kept as %+v", kept)
		}
	}
}

func TestKeptState_SecretThatLostItsPart(t *testing.T) {
	old := keeperOf(map[string]string{"DOCUMENT": `{"user":"old-user","password":"old-password"}`})
	next := keeperOf(map[string]string{"DOCUMENT": `{"user":"new-user"}`})
	var all []KeptVariable
	for _, v := range []NameValue{{"A", "old-user"}, {"B", "old-password"}} {
		kept, _ := old.keep(v)
		all = append(all, kept)
	}
	names := map[string]bool{"GONE": true, "A": true}
	lines := next.changesTo(KeptState{Variables: all}, names)
	restored := slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "export ") })
	if !slices.Contains(lines, "unset GONE") || !restored || len(lines) != 2 {
		t.Errorf("the changes are %q", lines)
	}
}
