package runner

import (
	"reflect"

	"github.com/buildlocal/buildlocal/secrets"
)

// Mask returns a copy of the record in which mask has replaced every text.
func (r *Record) Mask(mask func(string) string) *Record { return masked(r, mask) }

// Mask returns a copy of the event in which mask has replaced every text, also in its
// plan, record and reports. Output is unchanged: the recorder masks it as a stream, which
// finds values that two events share.
func (e Event) Mask(mask func(string) string) Event {
	e = masked(e, mask)
	if e.Plan != nil {
		for i := range e.Plan.Variables {
			v := &e.Plan.Variables[i]
			if v.Secret { // also values that are too short for a mask
				v.Value, v.Password = secrets.NewValue(secrets.Placeholder), secrets.Value{}
			}
		}
	}
	return e
}

// masked returns a deep copy of value in which mask has replaced every text: each string
// in exported fields, slices, maps and behind pointers, so that a new field needs no code
// here. Strings of a named type, such as Status, are constants of the program and stay.
func masked[T any](value T, mask func(string) string) T {
	v := reflect.ValueOf(&value).Elem()
	v.Set(maskValue(v, mask))
	return value
}

func maskValue(v reflect.Value, mask func(string) string) reflect.Value {
	switch {
	case v.Type() == reflect.TypeFor[string]():
		return reflect.ValueOf(mask(v.String()))
	case v.Type() == reflect.TypeFor[secrets.Value]():
		text := v.Interface().(secrets.Value).Reveal()
		return reflect.ValueOf(secrets.NewValue(mask(text)))
	}
	switch v.Kind() {
	case reflect.Pointer:
		// A pointer to an opaque type, such as a regular expression, is shared.
		if v.IsNil() || v.Elem().Kind() == reflect.Struct && !hasExported(v.Elem().Type()) {
			return v
		}
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(maskValue(v.Elem(), mask))
		return p
	case reflect.Struct:
		s := reflect.New(v.Type()).Elem()
		s.Set(v) // unexported fields too
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				s.Field(i).Set(maskValue(v.Field(i), mask))
			}
		}
		return s
	case reflect.Slice:
		if v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8 {
			return v
		}
		s := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			s.Index(i).Set(maskValue(v.Index(i), mask))
		}
		return s
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		m := reflect.MakeMapWithSize(v.Type(), v.Len())
		for _, key := range v.MapKeys() {
			m.SetMapIndex(maskValue(key, mask), maskValue(v.MapIndex(key), mask))
		}
		return m
	}
	return v
}

// hasExported reports whether a struct has exported fields.
func hasExported(t reflect.Type) bool {
	for i := range t.NumField() {
		if t.Field(i).IsExported() {
			return true
		}
	}
	return false
}
