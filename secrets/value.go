package secrets

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// text returns what a node of the file stands for in a store.
func (f *File) text(ctx context.Context, kind Kind, n *yaml.Node) (string, error) {
	n = resolve(n)
	switch {
	case n.ShortTag() == "!file":
		return f.read(n.Value)
	case n.ShortTag() == "!cmd":
		return f.run(ctx, n.Value)
	case n.Kind == yaml.MappingNode, n.Kind == yaml.SequenceNode && kind == SecretsManager:
		var b bytes.Buffer
		err := f.json(ctx, &b, n)
		return b.String(), err
	case n.Kind == yaml.SequenceNode: // StringList: joined by commas
		var all []string
		for _, item := range n.Content {
			text, err := f.text(ctx, kind, item)
			if err != nil {
				return "", err
			}
			all = append(all, text)
		}
		return strings.Join(all, ","), nil
	case n.ShortTag() == "!!binary":
		var decoded string
		err := n.Decode(&decoded)
		return decoded, err
	}
	return n.Value, nil // as it is written: 010 stays so
}

// json writes a node as JSON, keys in their order.
func (f *File) json(ctx context.Context, b *bytes.Buffer, n *yaml.Node) error {
	n = resolve(n)
	switch n.Kind {
	case yaml.MappingNode:
		return f.list(ctx, b, n, "{}")
	case yaml.SequenceNode:
		return f.list(ctx, b, n, "[]")
	}
	text, err := f.text(ctx, SecretsManager, n)
	if err != nil {
		return err
	}
	switch n.ShortTag() {
	case "!!null":
		return errors.New(`one of its keys has nothing behind it; write its value, or "" for an empty one`)
	case "!!int", "!!float", "!!bool":
		var plain any
		if err := n.Decode(&plain); err == nil && json.Valid([]byte(text)) {
			b.WriteString(text)
			return nil
		}
	}
	return writeJSON(b, text)
}

// list writes a list or a mapping, whose keys and values follow each other.
func (f *File) list(ctx context.Context, b *bytes.Buffer, n *yaml.Node, brackets string) error {
	b.WriteByte(brackets[0])
	for i, child := range n.Content {
		isKey := n.Kind == yaml.MappingNode && i%2 == 0
		if i > 0 && (isKey || n.Kind == yaml.SequenceNode) {
			b.WriteByte(',')
		}
		var err error
		if isKey {
			err = writeJSON(b, resolve(child).Value)
			b.WriteByte(':')
		} else {
			err = f.json(ctx, b, child)
		}
		if err != nil {
			return err
		}
	}
	b.WriteByte(brackets[1])
	return nil
}

func writeJSON(b *bytes.Buffer, text string) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // a line end
	return nil
}

// largest is how many bytes a value may have: Secrets Manager allows 64 KiB, a
// variable on Linux 128 KiB.
const largest = 128 << 10

// read returns the content of a file, without the line ends behind it, as a
// shell's $(cat FILE) does.
func (f *File) read(name string) (string, error) {
	if rest, below := strings.CutPrefix(name, "~/"); below {
		return "", fmt.Errorf("!file %s: ~ is not expanded; write !cmd cat \"$HOME/%s\"", name, rest)
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(f.name), name)
	}
	text, err := regular.Read(name, largest)
	var large *regular.TooLargeError
	if errors.As(err, &large) {
		err = tooLarge(name)
	}
	if err != nil {
		return "", fmt.Errorf("!file: %w", err)
	}
	return trimmed(text), nil
}

// run returns what a command of this machine prints, without the line ends behind
// it. sh runs it in the file's directory.
func (f *File) run(ctx context.Context, command string) (string, error) {
	c := exec.CommandContext(ctx, "sh", "-c", command)
	c.Dir, c.WaitDelay = filepath.Dir(f.name), time.Second // a child of sh may outlive it
	var text, complaint bounded
	c.Stdout, c.Stderr = &text, &complaint
	err := c.Run()
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case text.over:
		err = tooLarge("what it prints")
	case err == nil && trimmed(text.Bytes()) == "":
		err = errors.New("it printed nothing")
	}
	if err != nil { // its text may be secret
		return "", fmt.Errorf("!cmd: %w%s", err, said(complaint.String()))
	}
	return trimmed(text.Bytes()), nil
}

func tooLarge(what string) error { return fmt.Errorf("%s has more than %d bytes", what, largest) }

func trimmed(text []byte) string { return strings.TrimRight(string(text), "\r\n") }

// bounded keeps as much as a value may have; of more it only knows that it came.
type bounded struct {
	bytes.Buffer
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.over = b.over || b.Len()+len(p) > largest; !b.over {
		return b.Buffer.Write(p)
	}
	return len(p), nil
}

// said is what a program said last, behind an error.
func said(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return ": " + last
	}
	return ""
}

// Decrypt returns a file of secrets that SOPS encrypted, as the program sops
// decrypts it: its keys are the user's.
func Decrypt(ctx context.Context, name string) ([]byte, error) {
	c := exec.CommandContext(ctx, "sops", "--decrypt", "--input-type", "yaml", "--output-type", "yaml", name)
	c.WaitDelay = time.Second
	var complaint bytes.Buffer
	c.Stderr = &complaint
	text, err := c.Output()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("%s is encrypted by SOPS, and there is no program sops here: install it from https://getsops.io", name)
	case err != nil:
		return nil, fmt.Errorf("decrypt %s with sops: %w\n%s", name, err, strings.TrimSpace(complaint.String()))
	}
	return text, nil
}
