package relay

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	tunnel "github.com/buildlocal/buildlocal/internal/relay"
)

// write writes a file of a test and returns its name.
func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSharedLibraries_NotAProgram(t *testing.T) {
	t.Parallel()
	for _, file := range []string{write(t, "#!/bin/sh\n"), write(t, ""), "/no/such/file"} {
		if all, err := sharedLibraries(file); err == nil {
			t.Errorf("%s: got %v; want an error", file, all)
		}
	}
}

func TestSharedLibraries_LoaderAndItsLibraries(t *testing.T) {
	t.Parallel()
	const linked = "/bin/sh"
	loader, needed, err := dynamicDeps(linked)
	if runtime.GOOS != "linux" || err != nil || loader == "" {
		t.Skipf("%s has no loader here: %v", linked, err)
	}
	all, err := sharedLibraries(linked)
	if err != nil {
		t.Fatal(err)
	}
	if all[0] != loader {
		t.Errorf("the first file is %s, want the loader %s", all[0], loader)
	}
	for _, name := range needed {
		found := func(file string) bool { return filepath.Base(file) == name }
		if !slices.ContainsFunc(all, found) {
			t.Errorf("%s is missing in %v", name, all)
		}
	}
	if !slices.IsSorted(all[1:]) {
		t.Errorf("the libraries are not sorted, so the tag of the image changes: %v", all)
	}
}

func TestProgram_TagChangesWithTheFile(t *testing.T) {
	t.Parallel()
	file := write(t, "one")
	tag := func() string {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return program{{name: tunnel.Name, file: file, info: info}}.tag()
	}
	seen := map[string]string{}
	check := func(change string) {
		t.Helper()
		if before, again := seen[tag()]; again {
			t.Errorf("%s: same tag as %s", change, before)
		}
		seen[tag()] = change
	}
	check("first version")
	if err := os.WriteFile(file, []byte("longer"), 0o755); err != nil {
		t.Fatal(err)
	}
	check("other size")
	if err := os.Chtimes(file, time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	check("other time")
	if a, b := tag(), tag(); a != b || strings.ContainsAny(a, "/:") {
		t.Errorf("tags of the same file are %s and %s", a, b)
	}
}

func TestProgram_Pack(t *testing.T) {
	t.Parallel()
	var files program
	for _, name := range []string{tunnel.Name, "lib/libc.so.6"} {
		file := write(t, "text of "+name)
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, programFile{name: name, file: file, info: info})
	}
	stream := files.pack()
	defer stream.Close()
	r := tar.NewReader(stream)
	for _, f := range files {
		h, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if h.Name != f.name || string(text) != "text of "+f.name || h.FileInfo().Mode().Perm() != 0o755 || err != nil {
			t.Errorf("got %s, %q, %v, %v; want %s", h.Name, text, h.FileInfo().Mode(), err, f.name)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("after the files: %v, want the end", err)
	}
}

func TestProgram_PackReportsMissingFile(t *testing.T) {
	t.Parallel()
	file := write(t, "text")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	stream := program{{name: "gone", file: file + "-gone", info: info}}.pack()
	defer stream.Close()
	if _, err := io.ReadAll(stream); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want a missing file", err)
	}
}

func TestNewNetwork_Addresses(t *testing.T) {
	t.Parallel()
	const service = "169.254.170.2"
	for _, test := range []struct {
		network engine.Network
		want    []string
	}{
		{engine.Network{}, engine.LinkLocalMetadata()},
		{engine.Network{Metadata: true}, nil},
	} {
		n := NewNetwork(t.Context(), &Images{}, engine.Spec{Network: test.network})
		if !slices.Equal(n.addresses, test.want) {
			t.Errorf("%+v: got %v, want %v", test.network, n.addresses, test.want)
		}
		if n.image != nil {
			t.Errorf("%+v: an image is prepared although there are no services", test.network)
		}
	}
	if !slices.Contains(engine.LinkLocalMetadata(), service) {
		t.Errorf("%s is not blocked in containers without services", service)
	}
}

func TestNetwork_CreationHasMinimalRights(t *testing.T) {
	t.Parallel()
	n := &Network{spec: engine.Spec{Name: "build", Labels: map[string]string{"a": "b"}}, container: "id"}
	for _, test := range []struct {
		spec relaySpec
		caps string
		args string
	}{
		{relaySpec{purpose: "services", addresses: []string{"1.2.3.4:80"}}, "NET_BIND_SERVICE", "1.2.3.4:80"},
		{relaySpec{purpose: "services", take: []string{"1.2.3.4"}, addresses: []string{"1.2.3.4:80"}},
			"NET_BIND_SERVICE NET_ADMIN", "1.2.3.4 1.2.3.4:80"},
	} {
		c := n.creation(test.spec)
		if got := strings.Join(c.Host.CapAdd, " "); got != test.caps {
			t.Errorf("capabilities %s, want %s", got, test.caps)
		}
		if got := strings.Join(c.Config.Cmd, " "); got != test.args {
			t.Errorf("arguments %s, want %s", got, test.args)
		}
		if c.Name != "build-services" || c.Config.Labels["a"] != "b" || c.Host.NetworkMode != "container:id" {
			t.Errorf("name %s, labels %v, network %s", c.Name, c.Config.Labels, c.Host.NetworkMode)
		}
		if !slices.Contains(c.Host.CapDrop, "ALL") || !c.Host.ReadonlyRootfs || !c.Host.AutoRemove {
			t.Errorf("a relay has more rights than it needs: %+v", c.Host)
		}
	}
}

func TestNetwork_SealEndsTheList(t *testing.T) {
	t.Parallel()
	n := &Network{}
	if !n.add("first") {
		t.Error("a relay was refused before Seal")
	}
	if got := n.Seal(); !slices.Equal(got, []string{"first"}) {
		t.Errorf("Seal returned %v", got)
	}
	if n.add("second") {
		t.Error("a relay was added after Seal, and would not be removed")
	}
}
