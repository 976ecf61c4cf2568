package gate

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pipe is a connection whose other side keeps what it is told.
type pipe struct{ bytes.Buffer }

func (*pipe) Close() error { return nil }

func TestNamesAreSeenInWhatAClientSaysToBuildKit(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("r.example/", 20) + "app:1"
	said := "....\n\x04name\x12\x09app:1,b:2\x1a junk \n\x04name\x12" + string([]byte{byte(len(long)&0x7f | 0x80), byte(len(long) >> 7)}) + long + " \n\x04name\x12\xff\xff\xff\xff\xff"
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

func TestNamesAreReadOffTheAnswerToALoad(t *testing.T) {
	t.Parallel()
	const answer = "{\"stream\":\"Loaded image: a/b:1\\n\"}\r\n{\"stream\":\"Loaded image ID: sha256:1\\n\"}\n{\"stream\":\"Loaded image: c:2\\n\"}"
	var got []string
	l := &imageReader{ReadCloser: io.NopCloser(strings.NewReader(answer)), name: func(name string) { got = append(got, name) }, id: func(string) {}}
	passed, err := io.ReadAll(l)
	if err != nil || string(passed) != answer {
		t.Errorf("%q, %v", passed, err)
	}
	if diff := cmp.Diff([]string{"a/b:1", "c:2"}, got); diff != "" {
		t.Error(diff)
	}
}
