package secret

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/secrets"
)

// templateHead begins the file. Its examples are all forms of values that the file can have.
const templateHead = `# Values of parameters and secrets, by their names or ARNs. Do not commit this file.
#
# A value is a string. If you name this file with --secrets or in your own
# configuration, it can also be read from a file or from the output of a command:
#   /app/token: !file token.txt                  path relative to this file
#   /app/password: !cmd pass show app/password
# A JSON secret is a mapping. Other versions of a secret have separate entries, named
# as in the buildspec: app::AWSPREVIOUS.
`

// secretsTemplate returns a secrets file with empty entries. An empty entry counts as
// missing, so a template that was not filled in is noticed. A comment names the variable
// that needs the value.
//
// Several variables may refer to one secret. Its JSON keys become one mapping, as in
// Secrets Manager; another version of a secret is an entry of its own.
func secretsTemplate(all []needed) string {
	parameters, others := &yaml.Node{Kind: yaml.MappingNode}, &yaml.Node{Kind: yaml.MappingNode}
	comment := func(n needed) string { return "for " + n.variable }
	for _, n := range all {
		ref, err := secrets.ParseReference(n.request.Ref)
		switch {
		case n.request.Kind == secrets.ParameterStore:
			keyOf(parameters, n.request.Ref, comment(n), nil)
		case err != nil: // the buildspec has an error about it
		case ref.VersionID != "" || ref.VersionStage != "" && ref.VersionStage != "AWSCURRENT":
			keyOf(others, n.request.Ref, comment(n), nil)
		case ref.JSONKey == "":
			keyOf(others, ref.SecretID, comment(n), nil)
		default:
			keys := keyOf(others, ref.SecretID, "", &yaml.Node{Kind: yaml.MappingNode})
			if keys.Kind == yaml.MappingNode { // else another variable needs the whole secret
				keyOf(keys, ref.JSONKey, comment(n), nil)
			}
		}
	}
	var b bytes.Buffer
	b.WriteString(templateHead)
	for _, section := range []struct {
		name string
		node *yaml.Node
	}{{"parameter-store", parameters}, {"secrets-manager", others}} {
		if len(section.node.Content) == 0 {
			fmt.Fprintf(&b, "\n%s:\n", section.name) // to be found when a variable is added
			continue
		}
		b.WriteString("\n")
		text, err := yaml.Marshal(map[string]*yaml.Node{section.name: section.node})
		if err == nil {
			b.WriteString(strings.ReplaceAll(string(text), "    ", "  ")) // yaml.v3 indents by four
		}
	}
	return b.String()
}

// keyOf returns the value of a key in a mapping. It adds the key if it is missing, with an
// empty value if value is nil. Content of a mapping node has keys and values in turn.
func keyOf(mapping *yaml.Node, key, comment string, value *yaml.Node) *yaml.Node {
	at := slices.IndexFunc(mapping.Content, func(n *yaml.Node) bool { return n.Value == key && n.Kind == yaml.ScalarNode })
	if at >= 0 && at%2 == 0 { // not a value of the same text
		return mapping.Content[at+1]
	}
	if value == nil {
		value = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", LineComment: comment}
	}
	mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
	return value
}
