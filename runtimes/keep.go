package runtimes

import (
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

// Keep returns a runtimes.yml reduced to the versions for which wants returns true, and to the
// templates of their runtimes. Runtimes without such a version are removed. The remaining parts
// are unchanged, including comments and keys that this package does not know. Therefore it works
// on the nodes of the document, not on a Table.
func Keep(text []byte, wants func(name, version string) bool) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("read %s of the image: %w", Path, err)
	}
	if len(doc.Content) == 0 {
		return text, nil
	}
	runtimes := value(doc.Content[0], "runtimes")
	if runtimes == nil {
		return text, nil
	}
	filter(runtimes, func(name string, runtime *yaml.Node) bool {
		versions, kept := value(runtime, "versions"), false
		if versions == nil {
			return false
		}
		filter(versions, func(version string, _ *yaml.Node) bool {
			wanted := wants(name, version)
			kept = kept || wanted
			return wanted || version == custom
		})
		return kept
	})
	return yaml.Marshal(&doc)
}

// value returns the value of a key in a mapping, or nil.
func value(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; mapping.Kind == yaml.MappingNode && i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// filter removes the entries of a mapping for which keep returns false.
func filter(mapping *yaml.Node, keep func(key string, value *yaml.Node) bool) {
	var kept []*yaml.Node
	for i := 0; mapping.Kind == yaml.MappingNode && i+1 < len(mapping.Content); i += 2 {
		if keep(mapping.Content[i].Value, mapping.Content[i+1]) {
			kept = append(kept, mapping.Content[i], mapping.Content[i+1])
		}
	}
	mapping.Content = slices.Clip(kept)
}
