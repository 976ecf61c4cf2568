package runner_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/engine/enginetest"
	"github.com/buildlocal/buildlocal/runner"
)

// echo is an Endpoint that answers with a text and masks it.
type echo struct{ name, text string }

func (e echo) Address() string { return "169.254.170.3:80" }

func (e echo) Serve(l net.Listener, host runner.EndpointHost) error {
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		host.NoteOnce("The endpoint is used: %s", host.Mask("first"))
		_, _ = io.WriteString(w, e.text)
		host.Hide(e.text)
	}))
}

func (e echo) Setup(_ *runner.Plan, host runner.EndpointHost) runner.EndpointSetup {
	return runner.EndpointSetup{
		Notes: []string{e.name + " is available."}, Unset: []string{"OLD_" + e.name},
		Variables: []runner.NameValue{{Name: e.name, Value: "http://" + host.Fallback()}},
	}
}

func TestEndpoints_EachIsServed(t *testing.T) {
	t.Parallel()
	fake := &enginetest.Fake{}
	fake.Do = func(text string, output io.Writer) int {
		if text == "ask" {
			for _, name := range []string{"ONE", "TWO", "ONE"} {
				status, answer := ask(t, http.MethodGet, exported(fake, name), "", "")
				fmt.Fprintf(output, "%s: %d %s\n", name, status, answer)
			}
		}
		return 0
	}
	plan := planOf(t, "version: 0.2\nphases: {build: {commands: [ask]}}\n")
	_, lines, err := play(t, t.Context(), fake, plan, func(r *runner.Runner) {
		r.Endpoints = []runner.Endpoint{echo{"ONE", "first"}, echo{"TWO", "second"}}
	})
	text := strings.Join(lines, "\n")
	for _, want := range []string{
		"note: ONE is available.", "note: TWO is available.", "> ONE: 200 ***", "> TWO: 200 ***",
	} {
		if err != nil || !strings.Contains(text, want) {
			t.Errorf("%v: %s is not in\n%s", err, want, text)
		}
	}
	state := strings.Join(fake.State, "\n")
	if strings.Count(text, "The endpoint is used") != 1 || !strings.Contains(state, "unset OLD_ONE") {
		t.Errorf("got %s and %q", text, fake.State)
	}
}
