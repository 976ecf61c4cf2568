package lsp

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sourcegraph/jsonrpc2"
	protocol "github.com/tliron/glsp/protocol_3_16"

	"github.com/buildlocal/buildlocal/buildspec"
)

// hover returns the documentation of a line's key. The documentation is that of the reference
// table, which also is the source of docs and schema.
func (s *server) hover(_ context.Context, _ *jsonrpc2.Conn, params json.RawMessage) (any, error) {
	p, err := read[protocol.HoverParams](params)
	doc, open := s.documents[p.TextDocument.URI]
	if err != nil || !open {
		return nil, err
	}
	// The protocol counts lines from 0.
	line := int(p.Position.Line) + 1
	at := doc.at(line, doc.column(p.Position))
	if at.key == "" {
		return nil, nil
	}
	key, known := definition(append(at.path, at.key))
	if !known || key.Doc == "" {
		return nil, nil
	}
	return protocol.Hover{
		Contents: protocol.MarkupContent{Kind: protocol.MarkupKindMarkdown, Value: described(at.key, key)},
		Range:    pointer(doc.span(line, at.start, len([]rune(at.key)))),
	}, nil
}

// described returns the documentation of a key in Markdown.
func described(name string, key *buildspec.Key) string {
	text := fmt.Sprintf("**%s**\n\n%s", name, key.Doc)
	if len(key.Values) > 0 {
		text += "\n\nValues: `" + strings.Join(key.Values, "`, `") + "`"
	}
	if key.Default != "" {
		text += "\n\nDefault: `" + key.Default + "`"
	}
	if key.Since02 {
		text += "\n\nVersion 0.2 only."
	}
	return text
}

// completion returns the keys of the section at the cursor, or the values of the key before it.
func (s *server) completion(ctx context.Context, _ *jsonrpc2.Conn, params json.RawMessage) (any, error) {
	p, err := read[protocol.CompletionParams](params)
	doc, open := s.documents[p.TextDocument.URI]
	if err != nil || !open {
		return []protocol.CompletionItem{}, err
	}
	line := min(int(p.Position.Line), len(doc.lines)) + 1
	at := doc.at(line, doc.column(p.Position))
	// Comments are not completed.
	if strings.HasPrefix(strings.TrimSpace(doc.line(line)), "#") {
		return []protocol.CompletionItem{}, nil
	}
	if at.value {
		return s.values(ctx, at), nil
	}
	section, known := definition(at.path)
	if !known {
		return []protocol.CompletionItem{}, nil
	}
	// runtime-versions is the only mapping whose keys are known although they are not in the
	// reference.
	if section.OnlyPhase == "install" && section.Kind == buildspec.Map {
		written := doc.siblings(line, at)
		free := slices.DeleteFunc(slices.Clone(s.runtimeNames(ctx)),
			func(name string) bool { return slices.Contains(written, name) })
		return names(free, protocol.CompletionItemKindModule, ": "), nil
	}
	return keys(section, doc.siblings(line, at)), nil
}

// keys returns completions for the keys of a section, except those that are already present.
func keys(section *buildspec.Key, written []string) []protocol.CompletionItem {
	items := []protocol.CompletionItem{}
	for i := range section.Keys {
		key := &section.Keys[i]
		elsewhere := key.OnlyPhase != "" && key.OnlyPhase != section.Name
		if key.Removed != "" || key.Only01 || elsewhere || slices.Contains(written, key.Name) {
			continue
		}
		// A section continues in the next line, so it gets no space.
		insert := key.Name + ":"
		if key.Kind == buildspec.Text || key.Kind == buildspec.Bool {
			insert += " "
		}
		items = append(items, protocol.CompletionItem{
			Label: key.Name, Kind: pointer(protocol.CompletionItemKindProperty), InsertText: &insert,
			Documentation: protocol.MarkupContent{Kind: protocol.MarkupKindMarkdown, Value: described(key.Name, key)},
			// Editors sort by name by default; the order of the reference is the usual one in files.
			SortText: pointer(fmt.Sprintf("%02d", i)),
		})
	}
	return items
}

// siblings returns the other keys of the mapping at the cursor.
func (d *document) siblings(line int, at spot) []string {
	own := parseLine(d.line(line))
	indent := own.indent
	if own.blank {
		indent = at.start - 1
	}
	var all []string
	// Upwards and downwards, until a line with less indentation ends the mapping.
	for step := -1; step <= 1; step += 2 {
		for n := line + step; n > 0 && n <= len(d.lines); n += step {
			other := parseLine(d.line(n))
			if !other.blank && other.indent < indent {
				break
			}
			if other.hasKey && other.indent == indent {
				all = append(all, other.key)
			}
		}
	}
	return all
}

// values returns completions for the value of a key.
func (s *server) values(ctx context.Context, at spot) []protocol.CompletionItem {
	if around, known := definition(at.path); known && around.OnlyPhase == "install" {
		return names(append(s.versions(ctx, at.key), "latest"), protocol.CompletionItemKindValue, "")
	}
	key, known := definition(append(at.path, at.key))
	switch {
	case !known:
		return []protocol.CompletionItem{}
	// The documentation writes some booleans as yes and no, others as true and false.
	case key.Kind == buildspec.Bool && key.Default != "no":
		return names([]string{"true", "false"}, protocol.CompletionItemKindValue, "")
	case key.Kind == buildspec.Bool:
		return names([]string{"yes", "no"}, protocol.CompletionItemKindValue, "")
	}
	return names(key.Values, protocol.CompletionItemKindEnumMember, "")
}

// names returns completions for words. suffix is inserted after the word.
func names(all []string, kind protocol.CompletionItemKind, suffix string) []protocol.CompletionItem {
	items := []protocol.CompletionItem{}
	for i, name := range all {
		insert := name + suffix
		items = append(items, protocol.CompletionItem{
			Label: name, Kind: &kind, InsertText: &insert, SortText: pointer(fmt.Sprintf("%02d", i)),
		})
	}
	return items
}

// runtimeNames returns the runtimes of the build's image, or of all curated images.
func (s *server) runtimeNames(ctx context.Context) []string {
	if table := s.checker.Runtimes(ctx); len(table) > 0 {
		return table.Names()
	}
	return buildspec.Runtimes
}

// versions returns the versions of a runtime, newest first.
func (s *server) versions(ctx context.Context, runtime string) []string {
	keys := s.checker.Runtimes(ctx)[runtime].Keys()
	slices.Reverse(keys)
	return keys
}
