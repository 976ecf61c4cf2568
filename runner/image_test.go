package runner

import "testing"

func TestStandInFor_NameBeforePattern(t *testing.T) {
	t.Parallel()
	all := []StandIn{
		{"aws/codebuild/standard:*", "any"},
		{"aws/*:7.0", "seven"},
		{"aws/codebuild/standard:5.0", "five"},
		{"*", "last"},
		{"a*b*c", "abc"},
	}
	for image, want := range map[string]string{
		"aws/codebuild/standard:7.0": "any", "aws/codebuild/standard:5.0": "five", "aws/other:7.0": "seven", "node": "last",
	} {
		if got := standInFor(image, all); got != want {
			t.Errorf("%s: %q, want %q", image, got, want)
		}
	}
	if got := standInFor("x", nil); got != "" {
		t.Errorf("without substitutes: %q", got)
	}
}

func TestMatchName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"", "", true}, {"*", "", true}, {"a*", "a", true},
		{"a*a", "a", false}, {"a*a", "aa", true},
		{"a*b*c", "abc", true}, {"a*b*c", "axxbyyc", true}, {"a*b*c", "acb", false}, {"a*b*c", "abbc", true},
		{"*b*b*", "ab", false}, {"*b*b", "abab", true}, {"*ab", "aab", true},
	} {
		if got := matchName(test.pattern, test.name); got != test.want {
			t.Errorf("%q and %q: %t", test.pattern, test.name, got)
		}
	}
}
