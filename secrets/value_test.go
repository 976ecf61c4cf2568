package secrets_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/secrets"
)

func TestValue_IsNeverPrinted(t *testing.T) {
	t.Parallel()
	type holder struct {
		Value   secrets.Value
		Pointer *secrets.Value
		List    []secrets.Value
		Map     map[string]secrets.Value
	}
	v := secrets.NewValue("s3cret")
	h := holder{v, &v, []secrets.Value{v}, map[string]secrets.Value{"a": v}}
	var all strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&all, verb+"\n", v)
		fmt.Fprintf(&all, verb+"\n", h)
	}
	fmt.Fprintln(&all, v, &v, h, v.String(), v.GoString())
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	all.Write(text)
	for _, hidden := range []string{"s3cret", "733363726574"} { // also as hexadecimal digits
		if strings.Contains(all.String(), hidden) {
			t.Errorf("%s is in\n%s", hidden, all.String())
		}
	}
	if v.Reveal() != "s3cret" || v.Empty() || !(secrets.Value{}).Empty() {
		t.Errorf("the value is %q", v.Reveal())
	}
}
