// Package lsp implements a server of the Language Server Protocol 3.16 for buildspecs.
//
// It reports problems while a buildspec is edited, shows the documentation of keys, completes keys
// and values, and offers fixes. The checks themselves are those of a Checker, which the caller
// provides. The server reads no files: editors send the contents of the documents.
package lsp

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/sourcegraph/jsonrpc2"
	protocol "github.com/tliron/glsp/protocol_3_16"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/runtimes"
)

// Checker checks a buildspec for the server.
type Checker interface {
	// Check returns the buildspec and its problems. text is the contents in the editor, which may not
	// have been saved.
	Check(ctx context.Context, file string, text []byte) (*buildspec.Buildspec, diag.List)
	// Runtimes returns the runtimes of the build's image; empty if unknown.
	Runtimes(ctx context.Context) runtimes.Table
}

// ErrNotShutDown is returned by Serve if the client closes the connection without a shutdown request.
var ErrNotShutDown = errors.New("the client ended the connection without a shutdown request")

// Serve serves one client until it sends exit, the stream ends or ctx is done. It returns the cause of
// ctx in the last case.
func Serve(ctx context.Context, stream io.ReadWriteCloser, version string, c Checker) error {
	s := &server{checker: c, version: version, documents: map[protocol.DocumentUri]*document{}}
	// VSCodeObjectCodec is the framing of the protocol: a Content-Length header before each message.
	codec := jsonrpc2.NewBufferedStream(stream, jsonrpc2.VSCodeObjectCodec{})
	// Without AsyncHandler requests are handled in their order, so a completion sees the preceding
	// change.
	conn := jsonrpc2.NewConn(ctx, codec, jsonrpc2.HandlerWithError(s.handle).SuppressErrClosed())
	select {
	case <-conn.DisconnectNotify():
	case <-ctx.Done():
		_ = conn.Close()
		return context.Cause(ctx)
	}
	// The protocol requires exit code 1 in this case.
	if !s.shutDown {
		return ErrNotShutDown
	}
	return nil
}

// server serves one client. The connection handles requests one after the other, so the fields need
// no lock.
type server struct {
	checker   Checker
	version   string
	documents map[protocol.DocumentUri]*document
	shutDown  bool
}

// document is a document that is open in the editor, as of its last check.
type document struct {
	uri      protocol.DocumentUri
	text     string
	lines    []string
	problems diag.List
}

// handlers are the supported requests and notifications, by method.
var handlers = map[string]func(*server, context.Context, *jsonrpc2.Conn, json.RawMessage) (any, error){
	"initialize":              (*server).initialize,
	"shutdown":                (*server).shutdown,
	"exit":                    (*server).exit,
	"textDocument/didOpen":    (*server).didOpen,
	"textDocument/didChange":  (*server).didChange,
	"textDocument/didSave":    (*server).didSave,
	"textDocument/didClose":   (*server).didClose,
	"textDocument/hover":      (*server).hover,
	"textDocument/completion": (*server).completion,
	"textDocument/codeAction": (*server).codeAction,
}

// handle dispatches a request or notification.
func (s *server) handle(ctx context.Context, conn *jsonrpc2.Conn, req *jsonrpc2.Request) (any, error) {
	handler, known := handlers[req.Method]
	switch {
	case !known && req.Notif: // notifications have no response, so there is no way to report an error
		return nil, nil
	case !known:
		return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeMethodNotFound, Message: "unknown method " + req.Method}
	// The protocol requires this error after a shutdown.
	case s.shutDown && req.Method != "exit":
		return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidRequest, Message: "the server was shut down"}
	}
	var params json.RawMessage
	if req.Params != nil {
		params = *req.Params
	}
	return handler(s, ctx, conn, params)
}

// read parses the parameters of a request.
func read[T any](params json.RawMessage) (T, error) {
	var p T
	if err := json.Unmarshal(params, &p); err != nil {
		return p, &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidParams, Message: err.Error()}
	}
	return p, nil
}

// pointer returns a pointer to a value, for optional fields of the protocol.
func pointer[T any](value T) *T { return &value }

// initialize announces the capabilities of the server.
func (s *server) initialize(_ context.Context, _ *jsonrpc2.Conn, _ json.RawMessage) (any, error) {
	return protocol.InitializeResult{
		ServerInfo: &protocol.InitializeResultServerInfo{Name: "buildlocal", Version: &s.version},
		Capabilities: protocol.ServerCapabilities{
			TextDocumentSync: protocol.TextDocumentSyncOptions{
				// Buildspecs are small, so full contents are simpler than incremental changes and as fast.
				OpenClose: pointer(true), Change: pointer(protocol.TextDocumentSyncKindFull), Save: protocol.SaveOptions{},
			},
			HoverProvider: true,
			// A space after a colon begins a value.
			CompletionProvider: &protocol.CompletionOptions{TriggerCharacters: []string{":", " "}},
			CodeActionProvider: protocol.CodeActionOptions{
				CodeActionKinds: []protocol.CodeActionKind{protocol.CodeActionKindQuickFix},
			},
		},
	}, nil
}

// shutdown marks the end of the session. The client sends exit next.
func (s *server) shutdown(context.Context, *jsonrpc2.Conn, json.RawMessage) (any, error) {
	s.shutDown = true
	return nil, nil
}

// exit closes the connection, which ends Serve.
func (s *server) exit(_ context.Context, conn *jsonrpc2.Conn, _ json.RawMessage) (any, error) {
	return nil, conn.Close()
}

// didOpen checks a document that was opened.
func (s *server) didOpen(ctx context.Context, conn *jsonrpc2.Conn, params json.RawMessage) (any, error) {
	p, err := read[protocol.DidOpenTextDocumentParams](params)
	if err != nil || p.TextDocument.URI == "" {
		return nil, err
	}
	return nil, s.changed(ctx, conn, p.TextDocument.URI, p.TextDocument.Text, &p.TextDocument.Version)
}

// change is the used part of a didChange notification. The server requests full contents, so changes
// have no ranges.
type change struct {
	TextDocument struct {
		URI     protocol.DocumentUri `json:"uri"`
		Version *protocol.Integer    `json:"version"`
	} `json:"textDocument"`
	ContentChanges []struct {
		Text string `json:"text"`
	} `json:"contentChanges"`
}

// didChange checks the new contents. Several changes are applied in order, so the last one has the
// contents.
func (s *server) didChange(ctx context.Context, conn *jsonrpc2.Conn, params json.RawMessage) (any, error) {
	p, err := read[change](params)
	if err != nil || len(p.ContentChanges) == 0 {
		return nil, err
	}
	return nil, s.changed(ctx, conn, p.TextDocument.URI, p.ContentChanges[len(p.ContentChanges)-1].Text,
		p.TextDocument.Version)
}

// didSave checks the document again, because other files, such as those of the source, may have
// changed.
func (s *server) didSave(ctx context.Context, conn *jsonrpc2.Conn, params json.RawMessage) (any, error) {
	p, err := read[protocol.DidSaveTextDocumentParams](params)
	doc, open := s.documents[p.TextDocument.URI]
	if err != nil || !open {
		return nil, err
	}
	return nil, s.changed(ctx, conn, doc.uri, doc.text, nil)
}

// didClose forgets a document and clears its problems in the editor.
func (s *server) didClose(ctx context.Context, conn *jsonrpc2.Conn, params json.RawMessage) (any, error) {
	p, err := read[protocol.DidCloseTextDocumentParams](params)
	if err != nil {
		return nil, err
	}
	delete(s.documents, p.TextDocument.URI)
	return nil, publish(ctx, conn, p.TextDocument.URI, nil, []protocol.Diagnostic{})
}

// changed checks a document and publishes its problems.
func (s *server) changed(ctx context.Context, conn *jsonrpc2.Conn, uri protocol.DocumentUri, text string,
	version *protocol.Integer) error {
	doc := &document{uri: uri, text: text}
	spec, problems := s.checker.Check(ctx, fileOf(uri), []byte(text))
	doc.lines, doc.problems = spec.Lines(), problems
	// A buildspec that is too large is not split.
	if len(doc.lines) == 0 {
		doc.lines = strings.Split(text, "\n")
	}
	s.documents[uri] = doc
	return publish(ctx, conn, uri, version, doc.diagnostics(doc.problems))
}

// publish sends the problems of a document to the client.
func publish(ctx context.Context, conn *jsonrpc2.Conn, uri protocol.DocumentUri, version *protocol.Integer,
	all []protocol.Diagnostic) error {
	p := protocol.PublishDiagnosticsParams{URI: uri, Diagnostics: all}
	// The client discards problems of a version that is not its current one.
	if version != nil && *version >= 0 {
		p.Version = pointer(protocol.UInteger(*version))
	}
	return conn.Notify(ctx, "textDocument/publishDiagnostics", p)
}

// fileOf returns the path of a file URI, or "" for other URIs.
func fileOf(uri protocol.DocumentUri) string {
	// Documents that were not saved yet have other schemes, such as untitled.
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "file" {
		return ""
	}
	path := filepath.FromSlash(u.Path)
	if len(path) > 2 && path[2] == ':' { // /C:/... on Windows
		path = path[1:]
	}
	return path
}
