package apiproxy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestRemoteAdd_AllSpellings(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"FROM a\nADD http://x/y /z",
		"FROM a\nadd https://x/y /z",
		"FROM a\r\nADD\thttp://x/y /z\r\n",
		"FROM a\n  ADD --chown=1:1 --chmod=7 http://x/y /z",
		"FROM a\nADD [\"http://x/y\", \"/z\"]",
		"FROM a\nADD [\"http:\\u002f/x/y\", \"/z\"]",
		"FROM a\nADD a b ht\"tp:/\"/x /z",
		"FROM a\nAD\\\nD http://x/y /z",
		"FROM a\nADD \\\n# comment\n\n  # another\n  http://x/y /z",
		"# escape=`\nFROM a\nADD `\n http://x/y /z",
		"FROM a\nARG A\nADD $A /z",
		"FROM a\nADD ${A:-http://x} /z",
		"FROM a\nADD ht${A} /z",
		"FROM a\nADD https://${A} /z",
		"FROM a\nONBUILD ADD http://x/y /z",
		"FROM a\nONBUILD \\\n ADD http://x/y /z",
		"FROM a\nRUN b \\\\\nADD http://x/y /z",
		"\xef\xbb\xbfADD http://x/y /z",
		"ADD git@x:y /z",
		"ADD ssh://x/y /z",
	} {
		if _, found := remoteAdd([]byte(text)); !found {
			t.Errorf("%q: it is not found", text)
		}
	}
}

func TestRemoteAdd_IgnoresContextFiles(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"FROM a\nADD x /y\nCOPY $A /z\nADD target/$JAR app.jar\nADD x $HOME/\nADD ./${A} /z",
		"FROM a\nRUN curl http://x/y && \\\n  echo ADD",
		"# ADD http://x/y /z\nFROM a\nLABEL a=http://x",
		"FROM a\nADD a.tar.gz /\nADD [\"a b\", \"/c\"]",
	} {
		if source, found := remoteAdd([]byte(text)); found {
			t.Errorf("%q: %s is taken for a URL", text, source)
		}
	}
}

// archive returns a tar archive of headers and contents.
func archive(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		content := e.Uname // a field that has no meaning here
		e.Uname, e.Size, e.Mode = "", int64(len(content)), 0o644
		if err := w.WriteHeader(&e); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(w, content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const remote = "FROM a\nADD http://x/y /z\n"

func TestScanContext_RemoteDockerfile(t *testing.T) {
	t.Parallel()
	for name, entries := range map[string][]tar.Header{
		"at the end": {{Name: "a", Typeflag: tar.TypeReg, Uname: "x"},
			{Name: "./Dockerfile", Typeflag: tar.TypeReg, Uname: remote}},
		"twice": {{Name: "Dockerfile", Typeflag: tar.TypeReg, Uname: "FROM a"},
			{Name: "x/../Dockerfile", Typeflag: tar.TypeReg, Uname: remote}},
		"in lower case": {{Name: "dockerfile", Typeflag: tar.TypeReg, Uname: remote}},
		"a symbolic link": {{Name: "a", Typeflag: tar.TypeReg, Uname: remote},
			{Name: "Dockerfile", Typeflag: tar.TypeSymlink, Linkname: "a"}},
		"a hard link": {{Name: "a", Typeflag: tar.TypeReg, Uname: remote},
			{Name: "Dockerfile", Typeflag: tar.TypeLink, Linkname: "a"}},
		"through a link": {{Name: "Dockerfile", Typeflag: tar.TypeReg, Uname: "FROM a"},
			{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "."}, {Name: "l/Dockerfile", Typeflag: tar.TypeReg, Uname: remote}},
		"absolute":          {{Name: "/Dockerfile", Typeflag: tar.TypeReg, Uname: remote}},
		"longer than it is": {{Name: "Dockerfile", Typeflag: tar.TypeReg, Uname: strings.Repeat("#\n", maxDockerfile)}},
	} {
		g := &Proxy{Unreachable: []string{"169.254.169.254"}}
		got, err := io.ReadAll(g.scanContext(io.NopCloser(bytes.NewReader(archive(t, entries...))), defaultDockerfile))
		if refused := (*refusal)(nil); !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
		if bytes.Contains(got, []byte("http://x/y")) && !strings.Contains(name, "a ") {
			t.Errorf("%s: the engine gets it", name)
		}
	}
}

func TestScanContext_CopiesStream(t *testing.T) {
	t.Parallel()
	entries := []tar.Header{
		{Name: "d/", Typeflag: tar.TypeDir}, {Name: "d/link", Typeflag: tar.TypeSymlink, Linkname: "../a"},
		{Name: "Dockerfile", Typeflag: tar.TypeReg, Uname: "FROM a\nADD a /\n"},
		{
			Name:       "a",
			Typeflag:   tar.TypeReg,
			Uname:      strings.Repeat("x", 1<<20),
			PAXRecords: map[string]string{"SCHILY.xattr.user.a": "b"},
		},
	}
	plain := archive(t, entries...)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(plain)
	_ = w.Close()
	for _, sent := range [][]byte{plain, packed.Bytes()} {
		g := &Proxy{Unreachable: []string{"169.254.169.254"}}
		got, err := io.ReadAll(g.scanContext(io.NopCloser(bytes.NewReader(sent)), defaultDockerfile))
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%v, %d bytes of %d", err, len(got), len(plain))
		}
	}
}
