package claims_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/cmd/claims"
	"github.com/buildlocal/buildlocal/internal/config"
)

func TestProject_Settings(t *testing.T) {
	text := `{"environment": {"privilegedMode": true, "image": "oci:/etc", "type": "LINUX_CONTAINER"},
 "cache": {"type": "S3", "location": "b", "cacheNamespace": "n"},
 "source": {"type": "NO_SOURCE", "buildspec": "../x.yml"}, "name": "p"}`
	found := claims.Project(config.Source{Dir: t.TempDir()}, "p.json", []byte(text))
	var got []string
	for _, c := range found {
		got = append(got, fmt.Sprintf("%s %s", c.Setting, c.Place()))
	}
	want := []string{
		"privilegedMode: true p.json:1:19",
		"cacheNamespace: n p.json:2:44",
		"buildspec: ../x.yml p.json:3:35",
		"image: oci:/etc p.json:1:43",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %s\nwant %s", strings.Join(got, "; "), strings.Join(want, "; "))
	}
	several := `{"projects":[{"name":"safe","environment":{"image":"x"}},
		{"name":"evil","environment":{"privilegedMode":true,"image":"x"}}]}`
	if found := claims.Project(config.Source{Dir: t.TempDir()}, "p.json", []byte(several)); len(found) != 1 {
		t.Errorf("of several projects %v are claimed; want the privileged one", found)
	}
	for _, harmless := range []string{`{"name":"p"}`,
		`{"environment":{"privilegedMode":false,"image":"x"},"source":{"buildspec":"ci/a.yml"}}`} {
		if found := claims.Project(config.Source{Dir: t.TempDir()}, "p.json", []byte(harmless)); len(found) > 0 {
			t.Errorf("%s claims %v", harmless, found)
		}
	}
}
