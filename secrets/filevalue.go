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

// text returns the value that a node of the file has in a store. It reads the file of a
// !file tag and runs the command of a !cmd tag.
func (f *File) text(ctx context.Context, kind Kind, n *yaml.Node) (string, error) {
	n = resolve(n)
	switch {
	case n.ShortTag() == fileTag:
		return f.read(n.Value)
	case n.ShortTag() == commandTag:
		return f.run(ctx, n.Value)
	case n.Kind == yaml.MappingNode, n.Kind == yaml.SequenceNode && kind == SecretsManager:
		var b bytes.Buffer
		err := f.json(ctx, &b, n)
		return b.String(), err
	case n.Kind == yaml.SequenceNode: // a StringList: CodeBuild gets the items joined by commas
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
	return n.Value, nil // as written: 010 is not the number 8
}

// json writes a node as JSON and keeps the order of keys.
func (f *File) json(ctx context.Context, b *bytes.Buffer, n *yaml.Node) error {
	n = resolve(n)
	switch n.Kind {
	case yaml.MappingNode:
		return f.jsonCollection(ctx, b, n, "{}")
	case yaml.SequenceNode:
		return f.jsonCollection(ctx, b, n, "[]")
	}
	text, err := f.text(ctx, SecretsManager, n)
	if err != nil {
		return err
	}
	switch n.ShortTag() {
	case "!!null":
		return errors.New(`one of its keys has no value; write the value, or "" for an empty one`)
	case "!!int", "!!float", "!!bool":
		// A YAML number such as 0x1F is not valid JSON and becomes a string.
		var plain any
		if err := n.Decode(&plain); err == nil && json.Valid([]byte(text)) {
			b.WriteString(text)
			return nil
		}
	}
	return writeJSON(b, text)
}

// jsonCollection writes a list or a mapping. YAML nodes hold the keys and values of a
// mapping alternately.
func (f *File) jsonCollection(ctx context.Context, b *bytes.Buffer, n *yaml.Node, brackets string) error {
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
	b.Truncate(b.Len() - 1) // Encode adds a newline
	return nil
}

// maxValueSize is the size of the largest value, in bytes: Secrets Manager allows 64 KiB,
// a variable on Linux 128 KiB.
const maxValueSize = 128 << 10

// read returns the content of a file without newlines at its end, as $(cat FILE) does in
// a shell. A relative name starts in the directory of the secrets file.
func (f *File) read(name string) (string, error) {
	if rest, inHome := strings.CutPrefix(name, "~/"); inHome {
		return "", fmt.Errorf("!file %s: ~ is not expanded; write !cmd cat \"$HOME/%s\"", name, rest)
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(f.name), name)
	}
	text, err := regular.Read(name, maxValueSize)
	var large *regular.TooLargeError
	if errors.As(err, &large) {
		err = tooLarge(name)
	}
	if err != nil {
		return "", fmt.Errorf("!file: %w", err)
	}
	return trimmed(text), nil
}

// run returns the output of a command on the host without newlines at its end. The
// command runs in sh, in the directory of the secrets file.
func (f *File) run(ctx context.Context, command string) (string, error) {
	c := exec.CommandContext(ctx, "sh", "-c", command)
	// A background process of the command may keep the pipes open after sh was killed.
	c.Dir, c.WaitDelay = filepath.Dir(f.name), time.Second
	var text, complaint boundedBuffer
	c.Stdout, c.Stderr = &text, &complaint
	err := c.Run()
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case text.exceeded:
		err = tooLarge("the output")
	case err == nil && trimmed(text.Bytes()) == "":
		err = errors.New("the command printed nothing")
	}
	if err != nil { // without the command, whose text may contain secrets
		return "", fmt.Errorf("!cmd: %w%s", err, lastLine(complaint.String()))
	}
	return trimmed(text.Bytes()), nil
}

func tooLarge(name string) error {
	return fmt.Errorf("%s is larger than %d bytes", name, maxValueSize)
}

func trimmed(text []byte) string { return strings.TrimRight(string(text), "\r\n") }

// boundedBuffer keeps at most maxValueSize bytes and notes whether there were more.
type boundedBuffer struct {
	bytes.Buffer
	exceeded bool
}

// Write implements io.Writer. It accepts all input, so that the command does not block.
func (b *boundedBuffer) Write(p []byte) (int, error) {
	if b.exceeded = b.exceeded || b.Len()+len(p) > maxValueSize; !b.exceeded {
		return b.Buffer.Write(p)
	}
	return len(p), nil
}

// lastLine returns the last line of a program's error output as the suffix of a message.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return ": " + last
	}
	return ""
}

// Decrypt returns the plain text of a secrets file encrypted with SOPS. It runs the
// program sops, which has access to the user's keys.
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
		return nil, fmt.Errorf("%s is encrypted with SOPS, but the program sops is not installed: "+
			"install it from https://getsops.io", name)
	case err != nil:
		return nil, fmt.Errorf("decrypt %s with sops: %w\n%s", name, err, strings.TrimSpace(complaint.String()))
	}
	return text, nil
}
