// Package lsp tells editors what is wrong with a buildspec while it is written,
// what its keys mean and what may stand where: a server of the Language Server
// Protocol, 3.16.
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
	// Check returns the buildspec of a file with what is wrong with it. Text is
	// what the editor holds, whether it is saved or not.
	Check(ctx context.Context, file string, text []byte) (*buildspec.Buildspec, diag.List)
	// Runtimes returns what the image of the build offers.
	Runtimes(ctx context.Context) runtimes.Table
}

// ErrNotShutDown is returned by Serve when the client left without a word.
var ErrNotShutDown = errors.New("the client ended the connection without a shutdown request")

// Serve speaks with one client until it says exit, the stream ends or ctx does.
func Serve(ctx context.Context, stream io.ReadWriteCloser, version string, c Checker) error {
	s := &server{checker: c, version: version, documents: map[protocol.DocumentUri]*document{}}
	conn := jsonrpc2.NewConn(ctx, jsonrpc2.NewBufferedStream(stream, jsonrpc2.VSCodeObjectCodec{}), jsonrpc2.HandlerWithError(s.handle).SuppressErrClosed())
	select {
	case <-conn.DisconnectNotify():
	case <-ctx.Done():
		_ = conn.Close()
		return context.Cause(ctx)
	}
	if !s.shutDown {
		return ErrNotShutDown
	}
	return nil
}

// server answers one client. Requests are handled one after the other.
type server struct {
	checker   Checker
	version   string
	documents map[protocol.DocumentUri]*document
	shutDown  bool
}

// document is a file that is open in the editor.
type document struct {
	uri      protocol.DocumentUri
	text     string
	lines    []string
	problems diag.List
}

// handlers answer what a client asks and tells, by method.
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

func (s *server) handle(ctx context.Context, conn *jsonrpc2.Conn, req *jsonrpc2.Request) (any, error) {
	handler, known := handlers[req.Method]
	switch {
	case !known && req.Notif: // there is nothing to be done about it
		return nil, nil
	case !known:
		return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeMethodNotFound, Message: "unknown method " + req.Method}
	case s.shutDown && req.Method != "exit":
		return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidRequest, Message: "the server was shut down"}
	}
	var params json.RawMessage
	if req.Params != nil {
		params = *req.Params
	}
	return handler(s, ctx, conn, params)
}

// read reads the parameters of a request.
func read[T any](params json.RawMessage) (T, error) {
	var p T
	if err := json.Unmarshal(params, &p); err != nil {
		return p, &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidParams, Message: err.Error()}
	}
	return p, nil
}

func pointer[T any](value T) *T { return &value }

func (s *server) initialize(_ context.Context, _ *jsonrpc2.Conn, _ json.RawMessage) (any, error) {
	return protocol.InitializeResult{
		ServerInfo: &protocol.InitializeResultServerInfo{Name: "buildlocal", Version: &s.version},
		Capabilities: protocol.ServerCapabilities{
			TextDocumentSync: protocol.TextDocumentSyncOptions{
				OpenClose: pointer(true), Change: pointer(protocol.TextDocumentSyncKindFull), Save: protocol.SaveOptions{},
			},
			HoverProvider:      true,
			CompletionProvider: &protocol.CompletionOptions{TriggerCharacters: []string{":", " "}},
			CodeActionProvider: protocol.CodeActionOptions{CodeActionKinds: []protocol.CodeActionKind{protocol.CodeActionKindQuickFix}},
		},
	}, nil
}

func (s *server) shutdown(context.Context, *jsonrpc2.Conn, json.RawMessage) (any, error) {
	s.shutDown = true
	return nil, nil
}

func (s *server) exit(_ context.Context, conn *jsonrpc2.Conn, _ json.RawMessage) (any, error) {
	return nil, conn.Close()
}

func (s *server) didOpen(ctx context.Context, conn *jsonrpc2.Conn, params json.RawMessage) (any, error) {
	p, err := read[protocol.DidOpenTextDocumentParams](params)
	if err != nil || p.TextDocument.URI == "" {
		return nil, err
	}
	return nil, s.changed(ctx, conn, p.TextDocument.URI, p.TextDocument.Text, &p.TextDocument.Version)
}

// change is what of a change counts here: the server asks for whole texts.
type change struct {
	TextDocument struct {
		URI     protocol.DocumentUri `json:"uri"`
		Version *protocol.Integer    `json:"version"`
	} `json:"textDocument"`
	ContentChanges []struct {
		Text string `json:"text"`
	} `json:"contentChanges"`
}

func (s *server) didChange(ctx context.Context, conn *jsonrpc2.Conn, params json.RawMessage) (any, error) {
	p, err := read[change](params)
	if err != nil || len(p.ContentChanges) == 0 {
		return nil, err
	}
	return nil, s.changed(ctx, conn, p.TextDocument.URI, p.ContentChanges[len(p.ContentChanges)-1].Text, p.TextDocument.Version)
}

// didSave checks again: other files may have changed meanwhile.
func (s *server) didSave(ctx context.Context, conn *jsonrpc2.Conn, params json.RawMessage) (any, error) {
	p, err := read[protocol.DidSaveTextDocumentParams](params)
	doc, open := s.documents[p.TextDocument.URI]
	if err != nil || !open {
		return nil, err
	}
	return nil, s.changed(ctx, conn, doc.uri, doc.text, nil)
}

func (s *server) didClose(ctx context.Context, conn *jsonrpc2.Conn, params json.RawMessage) (any, error) {
	p, err := read[protocol.DidCloseTextDocumentParams](params)
	if err != nil {
		return nil, err
	}
	delete(s.documents, p.TextDocument.URI)
	return nil, publish(ctx, conn, p.TextDocument.URI, nil, []protocol.Diagnostic{})
}

// changed checks a document and tells the client what is wrong with it.
func (s *server) changed(ctx context.Context, conn *jsonrpc2.Conn, uri protocol.DocumentUri, text string, version *protocol.Integer) error {
	doc := &document{uri: uri, text: text}
	spec, problems := s.checker.Check(ctx, fileOf(uri), []byte(text))
	doc.lines, doc.problems = spec.Lines(), problems
	if len(doc.lines) == 0 {
		doc.lines = strings.Split(text, "\n")
	}
	s.documents[uri] = doc
	return publish(ctx, conn, uri, version, doc.diagnostics(doc.problems))
}

func publish(ctx context.Context, conn *jsonrpc2.Conn, uri protocol.DocumentUri, version *protocol.Integer, all []protocol.Diagnostic) error {
	p := protocol.PublishDiagnosticsParams{URI: uri, Diagnostics: all}
	if version != nil && *version >= 0 {
		p.Version = pointer(protocol.UInteger(*version))
	}
	return conn.Notify(ctx, "textDocument/publishDiagnostics", p)
}

// fileOf is the path a file URI names; other URIs are no files.
func fileOf(uri protocol.DocumentUri) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "file" {
		return ""
	}
	path := filepath.FromSlash(u.Path)
	if len(path) > 2 && path[2] == ':' { // /C:/... of Windows
		path = path[1:]
	}
	return path
}
