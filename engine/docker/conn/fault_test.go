package conn

import (
	"errors"
	"testing"

	"github.com/buildlocal/buildlocal/engine"
)

func TestTextFault_DependsOnOperation(t *testing.T) {
	t.Parallel()
	const dial, refused = "dial tcp 10.0.0.1:443: i/o timeout", "chown /x: operation not permitted"
	for _, test := range []struct {
		text, doing string
		want        engine.Kind // empty if the cause is not known
	}{
		{dial, "pull node:22", engine.NoRegistry},
		{dial, "look at image node:22", engine.NoRegistry},
		{dial, "start a container from node:22", ""},
		{dial, "make volume cache", ""},
		{refused, "start a container from node:22", engine.Refused},
		{refused, "copy into /src", ""},
		{refused, "remove volume cache", ""},
		{"no space left on device", "copy into /src", engine.DiskFull},
	} {
		err := textFault(errors.New(test.text), test.doing)
		var f *engine.Fault
		if known := errors.As(err, &f); known != (test.want != "") || known && f.Kind != test.want {
			t.Errorf("%s: %s: got %v, want a fault of kind %q", test.doing, test.text, err, test.want)
		}
	}
}
