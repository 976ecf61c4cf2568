package lsp_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/sourcegraph/jsonrpc2"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/lsp"
	"github.com/buildlocal/buildlocal/runtimes"
)

// reader is a Checker that only reads.
type reader struct{}

func (reader) Check(_ context.Context, file string, text []byte) (*buildspec.Buildspec, diag.List) {
	return buildspec.Parse(file, text)
}

func (reader) Runtimes(context.Context) runtimes.Table { return runtimes.Curated("standard:7.0") }

// client is the client of a server, with the notifications that it received.
type client struct {
	*jsonrpc2.Conn
	notified chan json.RawMessage
	end      chan error
}

func dial(t *testing.T) *client {
	t.Helper()
	near, far := net.Pipe()
	c := &client{notified: make(chan json.RawMessage, 100), end: make(chan error, 1)}
	go func() { c.end <- lsp.Serve(t.Context(), far, "test", reader{}) }()
	c.Conn = jsonrpc2.NewConn(t.Context(), jsonrpc2.NewBufferedStream(near, jsonrpc2.VSCodeObjectCodec{}),
		jsonrpc2.HandlerWithError(func(_ context.Context, _ *jsonrpc2.Conn, r *jsonrpc2.Request) (any, error) {
			c.notified <- *r.Params
			return nil, nil
		}))
	t.Cleanup(func() { c.Close() })
	return c
}

// ask returns the answer to a request as JSON, or the error.
func (c *client) ask(t *testing.T, method string, params any) (string, error) {
	t.Helper()
	var answer json.RawMessage
	err := c.Call(t.Context(), method, params, &answer)
	return string(answer), err
}

type object = map[string]any

func (c *client) open(t *testing.T, text string) string {
	t.Helper()
	doc := object{"uri": "file:///b.yml", "languageId": "yaml", "version": 1, "text": text}
	if err := c.Notify(t.Context(), "textDocument/didOpen", object{"textDocument": doc}); err != nil {
		t.Fatal(err)
	}
	return string(<-c.notified)
}

func at(line, character int) object {
	return object{"textDocument": object{"uri": "file:///b.yml"}, "position": object{"line": line, "character": character}}
}

func (c *client) labels(t *testing.T, line, character int) string {
	t.Helper()
	answer, err := c.ask(t, "textDocument/completion", at(line, character))
	if err != nil {
		t.Fatal(err)
	}
	var items []struct{ Label string }
	if err := json.Unmarshal([]byte(answer), &items); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, item := range items {
		all = append(all, item.Label)
	}
	return strings.Join(all, " ")
}

func TestCompletion_InvalidYAML(t *testing.T) {
	t.Parallel()
	const text = `version: 0.2
batch:
  build-graph:
  - identifier: a
    
    env:
      compute-type: 
phases:
  install:
    runtime-versions:
      python: 
  build:
    on-failure: 
    commands:
      - |
        if true: then
          
reports:
  unit:
    
artifacts:
  discard-paths: 
  secondary-artifacts:
    docs:
      
`
	c := dial(t)
	c.open(t, text)
	for _, test := range []struct {
		line, character int
		want            string
	}{
		{4, 4, "buildspec debug-session depend-on ignore-failure"},
		{6, 20, "BUILD_GENERAL1_SMALL BUILD_GENERAL1_MEDIUM BUILD_GENERAL1_LARGE BUILD_GENERAL1_XLARGE " +
			"BUILD_GENERAL1_2XLARGE BUILD_LAMBDA_1GB BUILD_LAMBDA_2GB BUILD_LAMBDA_4GB BUILD_LAMBDA_8GB BUILD_LAMBDA_10GB " +
			"ATTRIBUTE_BASED_COMPUTE CUSTOM_INSTANCE_TYPE"},
		{10, 14, "3.14 3.13 3.12 3.11 3.10 3.9 latest"},
		{12, 16, "ABORT CONTINUE RETRY"},
		{16, 10, ""},
		{19, 4, "files base-directory discard-paths file-format"},
		{21, 17, "yes no"},
		{24, 6, "files name discard-paths base-directory exclude-paths enable-symlinks s3-prefix"},
		{99, 0, "run-as env proxy cache"},
	} {
		if got := c.labels(t, test.line, test.character); got != test.want {
			t.Errorf("line %d: got  %s\nwant %s", test.line, got, test.want)
		}
	}
}

func TestServe_Shutdown(t *testing.T) {
	t.Parallel()
	c := dial(t)
	if _, err := c.ask(t, "initialize", object{}); err != nil {
		t.Error(err)
	}
	if _, err := c.ask(t, "shutdown", nil); err != nil {
		t.Error(err)
	}
	if _, err := c.ask(t, "textDocument/hover", at(0, 0)); err == nil {
		t.Error("it answers after shutdown")
	}
	if err := c.Notify(t.Context(), "exit", nil); err != nil {
		t.Error(err)
	}
	if err := <-c.end; err != nil {
		t.Errorf("it ended with %v", err)
	}
	rude := dial(t)
	rude.Close()
	if err := <-rude.end; !errors.Is(err, lsp.ErrNotShutDown) {
		t.Errorf("without shutdown it ended with %v", err)
	}
}

func TestServe_UnusualRequests(t *testing.T) {
	t.Parallel()
	c := dial(t)
	for method, params := range map[string]any{
		"textDocument/definition": at(0, 0), "textDocument/hover": "text", "textDocument/completion": []int{1},
		"textDocument/codeAction": 3,
	} {
		var wrong *jsonrpc2.Error
		if answer, err := c.ask(t, method, params); !errors.As(err, &wrong) {
			t.Errorf("%s: %s, %v", method, answer, err)
		}
	}
	if answer, err := c.ask(t, "textDocument/hover", at(0, 0)); err != nil || answer != "null" {
		t.Errorf("a file that is not open: %s, %v", answer, err)
	}
	for _, method := range []string{"$/setTrace", "workspace/didChangeConfiguration", "textDocument/didChange",
		"textDocument/didSave", "textDocument/didClose"} {
		if err := c.Notify(t.Context(), method, object{"textDocument": object{"uri": "file:///x"}}); err != nil {
			t.Error(err)
		}
	}
	if notified := string(<-c.notified); notified != `{"diagnostics":[],"uri":"file:///x"}` {
		t.Errorf("a closed file: %s", notified)
	}
	if notified := c.open(t, "version: 0.2\n"); !strings.Contains(notified, "missing-phases") {
		t.Errorf("after all that: %s", notified)
	}
}
