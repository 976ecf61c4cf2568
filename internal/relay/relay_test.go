package relay_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/buildlocal/buildlocal/internal/relay"
)

// pair connects both sides, serves a handler for each address, and returns where the relay
// listens.
func pair(t *testing.T, addresses ...string) []string {
	t.Helper()
	near, far := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- relay.Listen(far, addresses) }()
	listeners, at, err := relay.Attach(near, len(addresses))
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range listeners {
		go func() {
			_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				fmt.Fprintf(w, "%d %s %d", i, r.URL.Path, len(body))
			}))
		}()
	}
	t.Cleanup(func() {
		near.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return at
}

func TestRelay_ReachesService(t *testing.T) {
	t.Parallel()
	at := pair(t, "127.0.0.1:0", "127.0.0.1:0")
	large := bytes.Repeat([]byte("x"), 3<<20)
	var group sync.WaitGroup
	for n := range 30 {
		group.Go(func() {
			response, err := http.Post("http://"+at[n%2]+"/path", "text/plain", bytes.NewReader(large))
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			if got, _ := io.ReadAll(response.Body); string(got) != fmt.Sprintf("%d /path %d", n%2, len(large)) {
				t.Errorf("got %s", got)
			}
		})
	}
	group.Wait()
}

func TestRelay_FallbackAddress(t *testing.T) {
	t.Parallel()
	if at := pair(t, "192.0.2.254:80"); !strings.HasPrefix(at[0], "127.0.0.1:") {
		t.Errorf("it listens at %s", at)
	}
}

func TestAttach_SilentPeer(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	go func() {
		_, _ = far.Write([]byte("exec format error\n"))
		far.Close()
	}()
	if _, _, err := relay.Attach(near, 1); err == nil {
		t.Error("no error")
	}
}
