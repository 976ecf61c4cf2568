package apiproxy

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// pipe is a connection that records the data written to it.
type pipe struct{ bytes.Buffer }

func (*pipe) Close() error { return nil }

func TestSniffer_FindsImageNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("r.example/", 20) + "app:1"
	said := "....\n\x04name\x12\x09app:1,b:2\x1a junk \n\x04name\x12" + string(
		[]byte{byte(len(long)&0x7f | 0x80), byte(len(long) >> 7)},
	) + long + " \n\x04name\x12\xff\xff\xff\xff\xff"
	for _, step := range []int{1, 3, len(said)} {
		var got []string
		to := &pipe{}
		s := &sniffer{readWriteCloser: to, name: func(name string) { got = append(got, name) }}
		for i := 0; i < len(said); i += step {
			if _, err := io.WriteString(s, said[i:min(i+step, len(said))]); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([]string{"app:1", "b:2", long}, got); diff != "" {
			t.Errorf("%d bytes at once: %s", step, diff)
		}
		if to.String() != said {
			t.Error("what was said is not what was heard")
		}
	}
}

func TestImageReader_RecordsIDs(t *testing.T) {
	t.Parallel()
	a, b := "sha256:"+strings.Repeat("a", 64), "sha256:"+strings.Repeat("b", 64)
	for _, test := range []struct {
		pattern, answer string
		want            []string
	}{
		{"/images/load", `{"stream":"Loaded image: a/b:1\n"}` + "\r\n" +
			`{"stream":"Loaded image ID: ` + a + `\n"}` + "\n" + `{"stream":"Loaded image: c:2\n"}`,
			[]string{"a/b:1", a, "c:2"}},
		{"/build", `{"stream":"Loaded image ID: ` + b + `\n"}` + "\n" + `{"aux":{"ID":"` + a + `"}}` + "\n" +
			`{"id":"moby.buildkit.trace","aux":"eA=="}`, []string{a}},
		{"/images/create", `{"status":"` + a + `"}` + "\n", []string{a}},
		{"/commit", `{"Id":"` + a + `"}` + "\n", []string{a}},
		{"/commit", `{"message":"no"}` + "\n", nil},
	} {
		var got []string
		note := func(text string) { got = append(got, text) }
		r := &imageReader{
			ReadCloser: io.NopCloser(iotest.OneByteReader(strings.NewReader(test.answer))),
			pattern:    test.pattern,
			name:       note,
			id:         note,
		}
		passed, err := io.ReadAll(r)
		if err != nil || string(passed) != test.answer {
			t.Errorf("%q, %v", passed, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.pattern, diff)
		}
	}
}

func TestSniffer_RecordsBuiltImages(t *testing.T) {
	t.Parallel()
	a, b := "sha256:"+strings.Repeat("a", 64), "sha256:"+strings.Repeat("b", 64)
	told := "..\n\x15containerimage.digest\x12\x47" + a + ".\n\x1ccontainerimage.config.digest\x12\x47" + b +
		"\n\x15containerimage.digest\x12\x03abc"
	for _, step := range []int{1, 7, len(told)} {
		var got []string
		from := &pipe{}
		from.WriteString(told)
		s := &sniffer{readWriteCloser: from, id: func(id string) { got = append(got, id) }}
		p := make([]byte, step)
		for {
			if _, err := s.Read(p); err != nil {
				break
			}
		}
		if diff := cmp.Diff([]string{a, b}, got); diff != "" {
			t.Errorf("%d bytes at once: %s", step, diff)
		}
	}
}
