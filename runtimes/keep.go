package runtimes

import (
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

// Keep returns a runtimes.yml with only the versions that wants reports true for, and
// the templates beside them; runtimes without one are left out. What stays is as it was
// written.
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

// value returns what a key of a mapping holds; nil where it is not there.
func value(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; mapping.Kind == yaml.MappingNode && i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// filter leaves the entries of a mapping for which keep is true.
func filter(mapping *yaml.Node, keep func(key string, value *yaml.Node) bool) {
	var kept []*yaml.Node
	for i := 0; mapping.Kind == yaml.MappingNode && i+1 < len(mapping.Content); i += 2 {
		if keep(mapping.Content[i].Value, mapping.Content[i+1]) {
			kept = append(kept, mapping.Content[i], mapping.Content[i+1])
		}
	}
	mapping.Content = slices.Clip(kept)
}
