package runner

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/secrets"
)

const hidden = "s3cret"

// fill sets every string that is reachable by exported fields to a text with a secret.
func fill(v reflect.Value, depth int) {
	const maxDepth = 12
	if depth > maxDepth || !v.CanSet() {
		return
	}
	switch {
	case v.Type() == reflect.TypeFor[string]():
		v.SetString("a " + hidden + " b")
		return
	case v.Type() == reflect.TypeFor[secrets.Value]():
		v.Set(reflect.ValueOf(secrets.NewValue("a " + hidden + " b")))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), depth+1)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			fill(v.Index(0), depth+1)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, depth+1)
		fill(value, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	}
}

// texts calls visit with the path and the text of every string, also of a named type.
func texts(v reflect.Value, path string, visit func(path, text string)) {
	if v.Type() == reflect.TypeFor[secrets.Value]() {
		visit(path, v.Interface().(secrets.Value).Reveal())
		return
	}
	switch v.Kind() {
	case reflect.String:
		visit(path, v.String())
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			texts(v.Elem(), path, visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				texts(v.Field(i), path+"."+v.Type().Field(i).Name, visit)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			texts(v.Index(i), path+"[]", visit)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			texts(key, path+"{}", visit)
			texts(v.MapIndex(key), path+"{}", visit)
		}
	}
}

// TestMasked_EveryText fills every text of the values that leave the runner, so that a new
// field is covered without a change of the test.
func TestMasked_EveryText(t *testing.T) {
	t.Parallel()
	mask := secrets.NewMask(hidden)
	check := func(name string, original, masked any, least int) {
		count := 0
		texts(reflect.ValueOf(masked), name, func(path, text string) {
			count++
			if strings.Contains(text, hidden) {
				t.Errorf("%s is %q", path, text)
			}
		})
		kept := 0
		texts(reflect.ValueOf(original), name, func(_, text string) {
			if strings.Contains(text, hidden) {
				kept++
			}
		})
		if count < least || kept < least {
			t.Errorf("%s: %d texts, %d of the original unchanged; want at least %d", name, count, kept, least)
		}
		text, err := json.Marshal(masked)
		if all := fmt.Sprintf("%s %+v %v", text, masked, err); strings.Contains(all, hidden) {
			t.Errorf("%s: the secret is in its text", name)
		}
	}
	record, event, set, manifest := &Record{}, Event{}, &reports.Set{}, artifacts.Manifest{}
	fill(reflect.ValueOf(record).Elem(), 0)
	fill(reflect.ValueOf(&event).Elem(), 0)
	fill(reflect.ValueOf(set).Elem(), 0)
	fill(reflect.ValueOf(&manifest).Elem(), 0)
	event.Plan.Identity.Start, event.Plan.Phases[0].OnFailure.Match = time.Now(), nil
	check("Record", record, record.Mask(mask.Text), 30)
	check("Event", event, event.Mask(mask.Text), 150)
	check("Set", set, masked(set, mask.Text), 25)
	check("Manifest", manifest, masked(manifest, mask.Text), 6)
}

func TestMasked_KeepsOtherFields(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := &Record{ID: "a s3cret", Status: Succeeded, Start: now, Phases: []PhaseRecord{{Type: Build, End: now}}}
	got := r.Mask(secrets.NewMask(hidden, string(Succeeded)).Text)
	if got.ID != "a ***" || got.Status != Succeeded || !got.Start.Equal(now) || got.Phases[0].Type != Build ||
		!got.Phases[0].End.Equal(now) || got.Commands != nil {
		t.Errorf("got %+v", got)
	}
}

// TestEventMask_Plan shows plain variables, and hides secret ones that are too short for
// a mask.
func TestEventMask_Plan(t *testing.T) {
	t.Parallel()
	p := &Plan{Variables: []Variable{
		{Name: "PLAIN", Value: secrets.NewValue("shown")},
		{Name: "SHORT", Value: secrets.NewValue("ab"), Secret: true},
		{Name: "LONG", Value: secrets.NewValue("x" + hidden), Password: secrets.NewValue("pw"), Secret: true},
	}}
	got := Event{Kind: BuildBegan, Plan: p}.Mask(secrets.NewMask(hidden).Text).Plan
	var all []string
	for _, v := range got.Variables {
		all = append(all, v.Value.Reveal()+v.Password.Reveal())
	}
	if text := strings.Join(all, " "); text != "shown *** ***" || p.Variables[1].Value.Reveal() != "ab" {
		t.Errorf("got %s", text)
	}
}

func TestOverride_StringHasNoValues(t *testing.T) {
	t.Parallel()
	o := Override{Origin: "-e", Variables: []project.Variable{{Name: "A", Value: hidden}, {Name: "B", Value: hidden}}}
	if text := fmt.Sprintf("%v %s", o, o); text != "-e: A B -e: A B" {
		t.Errorf("got %s", text)
	}
}
