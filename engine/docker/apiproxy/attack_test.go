package apiproxy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
)

// serve serves a proxy at a socket.
func serve(t testing.TB) (path string, engine *recorder) {
	t.Helper()
	g, engine := newEngine(t)
	g.Unreachable = []string{"169.254.169.254"}
	path = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = g.Serve(l) }()
	t.Cleanup(func() { g.Close(context.WithoutCancel(t.Context())) })
	return path, engine
}

// send writes bytes to the proxy's socket, followed by a last request, and reads all
// responses.
func send(t testing.TB, path, text string) string {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	// An error is a response too: the proxy has closed the connection immediately.
	_, _ = io.WriteString(conn, text+"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	answer, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%q: the gate waits for more", text)
	}
	return string(answer)
}

// raw are requests that no client sends. They must reach the engine only in a form that the
// policy allows.
var raw = []string{
	"POST /v1.41/containers/prune HTTP/1.1\r\nHost: x\r\nContent-Type: " +
		"application/x-www-FORM-urlencoded\r\nContent-Length: 10\r\n\r\nfilters={}",
	"POST /v1.41/volumes/prune HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; " +
		"boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n--b--\r\n0\r\n\r\n",
	"POST /v1.41/networks/prune HTTP/1.1\r\nHost: x\r\nContent-Type: APPLICATION/X-WWW-FORM-URLENCODED; " +
		"charset=utf-8\r\nContent-Length: 10\r\n\r\nfilters={}",
	"POST /v1.41/images/prune HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Type: " +
		"application/x-www-form-urlencoded\r\nContent-Length: 2\r\n\r\n{}",
	"POST /v1.23/containers/mine/start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
		"19\r\n\r\n{\"Privileged\":true}",
	"POST /v01.41/containers/mine/start HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	"POST /v1.41/containers/mine/start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: " +
		"chunked\r\n\r\n13\r\n{\"Privileged\":true}\r\n0\r\n\r\n",
	"POST /%763.23/containers/mine/start HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	"POST /v1%2e23/containers/mine/start HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	"POST /v1.41/../v1.23/containers/mine/start HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	"POST //v1.23/containers/mine/start HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	"POST /v1.41/v1.23/containers/mine/start HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	"POST http://x/v1.23/containers/mine/start HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	"GET http://169.254.169.254/containers/mine/json HTTP/1.1\r\nHost: x\r\n\r\n",
	"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /containers/mine%2f..%2fothers/json HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /containers/mine/../others/json HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /containers/" + others[:12] + "/json HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /volumes/mine%3ffilters HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /v1.41/containers/mine/start?checkpoint=c&checkpoint-dir=/etc HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	"GET /info HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
	"GET /info HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: " +
		"AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
	"POST /containers/mine/attach HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"POST /containers/mine/kill HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: " +
		"chunked\r\n\r\n0\r\n\r\nDELETE /containers/others HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /containers/mine/kill HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\nDELETE " +
		"/containers/others HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /containers/mine/kill HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\nDELETE " +
		"/containers/others HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\nDELETE /containers/others HTTP/1.1\r\nHost: x\r\n\r\nPOST /swarm/init " +
		"HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: " +
		"100-continue\r\nContent-Length: 34\r\n\r\n{\"HostConfig\":{\"Privileged\":true}}",
	"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
		"37\r\n\r\n{}{\"HostConfig\":{\"Privileged\":true}} ",
	"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
		"19\r\n\r\n{\"Privileged\":true}",
	"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
		"24\r\n\r\n{\"Binds\":[\"/:/host:rw\"]}",
	"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
}

func TestRawRequests_FilteredByPolicy(t *testing.T) {
	t.Parallel()
	path, engine := serve(t)
	for _, text := range raw {
		send(t, path, text)
		for _, r := range engine.take() {
			if err := breaks(r); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
}

// TestRawRequests_OrdinaryPass checks that the spellings of real clients are served.
func TestRawRequests_OrdinaryPass(t *testing.T) {
	t.Parallel()
	path, engine := serve(t)
	for _, text := range []string{
		"POST /v1.41/containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: Application/JSON; " +
			"charset=utf-8\r\nContent-Length: 13\r\n\r\n{\"Image\":\"i\"}",
		"POST /v1.41/containers/create?Image=i&name=n HTTP/1.1\r\nHost: x\r\nContent-Type: " +
			"application/json\r\nContent-Length: 24\r\n\r\n{\"Image\":\"i\",\"name\":\"n\"}",
		"POST /v1.41/containers/mine/start HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: " +
			"chunked\r\n\r\n0\r\n\r\n",
		"POST /containers/mine/start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
		"POST /v1.24/exec/mine/start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
			"15\r\n\r\n{\"Detach\":true}",
		"POST /images/create?fromSrc=- HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\ntar",
		"GET /images/localhost%3A5000%2Fa%40sha256:" + mine + "/json HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /networks/ HTTP/1.1\r\nHost: x\r\n\r\n",
		// As dockerode and docker-py send them.
		"POST /containers/mine/stop?t=1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
			"7\r\n\r\n{\"t\":1}",
		"POST /images/create?fromImage=a&tag=b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
			"27\r\n\r\n{\"fromImage\":\"a\",\"tag\":\"b\"}",
		"POST /exec/mine/start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
			"28\r\n\r\n{\"hijack\":true,\"stdin\":true}",
		"POST /commit?container=mine&repo=r HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
			"31\r\n\r\n{\"container\":\"mine\",\"repo\":\"r\"}",
		"POST /containers/mine/exec HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
			"35\r\n\r\n{\"Container\":\"mine\",\"Cmd\":[\"true\"]}",
	} {
		answer := send(t, path, text)
		got := engine.take()
		if len(got) != 2 || breaks(got[0]) != nil || got[1].path != "/_ping" {
			t.Errorf("%q: %v reach the engine, and the answer is %s", text, got, answer)
		}
	}
}

// FuzzRawRequest sends any bytes to the proxy: everything that reaches the engine must obey
// the policy.
func FuzzRawRequest(f *testing.F) {
	for _, text := range raw {
		head, body, _ := strings.Cut(text, "\r\n\r\n")
		line, header, _ := strings.Cut(head, "\r\n")
		words := strings.Fields(line)
		f.Add(words[0], words[1], header, []byte(body))
	}
	for _, d := range []string{"/containers/create", "/networks/create", "/volumes/create", "/networks/mine/connect",
		"/containers/mine/update", "/commit?container=mine"} {
		f.Add(
			"POST",
			d,
			"Host: x\r\nContent-Type: application/json\r\nConnection: close",
			[]byte(`{"HostConfig": {"NetworkMode": "mine", "Binds": ["/a:/b"], `+
				`"Mounts": [{"Type": "bind", "Source": "/a"}], "LogConfig": {"Type": "syslog"}}, "NetworkingConfig": `+
				`{"EndpointsConfig": {"mine": {"NetworkID": "others"}}}, "Container": "mine"}`),
		)
	}
	g, engine := newEngine(f)
	g.Unreachable = []string{"169.254.169.254"}
	f.Fuzz(func(t *testing.T, method, target, header string, body []byte) {
		text := method + " " + target + " HTTP/1.1\r\n" + header + "\r\n\r\n" + string(body)
		if strings.Contains(strings.ToLower(text), "go-http-client") {
			t.Skip() // the recorder takes it for the proxy
		}
		if !strings.Contains(header, "Length") && !strings.Contains(header, "Encoding") {
			text = fmt.Sprintf("%s %s HTTP/1.1\r\n%s\r\nContent-Length: %d\r\n\r\n%s", method, target, header, len(body), body)
		}
		from := bufio.NewReader(strings.NewReader(text))
		for {
			request, err := http.ReadRequest(from)
			if err != nil {
				return
			}
			g.ServeHTTP(httptest.NewRecorder(), request)
			_, _ = io.Copy(io.Discard, request.Body)
			for _, r := range engine.take() {
				if err := breaks(r); err != nil {
					t.Errorf("%q: %v", text, err)
				}
			}
		}
	})
}

// FuzzClient calls the engine's own client with arguments of the fuzzer: everything that
// reaches the engine must obey the policy.
func FuzzClient(f *testing.F) {
	for which := range len(asks) {
		f.Add(which, "1.41", "mine", "others", "x", int64(1), true)
		f.Add(which, "1.24", others[:6], mine, "container:others", int64(-900), false)
		f.Add(which, "1.51", "mine", "mine", "host", int64(0), true)
	}
	path, engine := serve(f)
	f.Fuzz(func(t *testing.T, which int, version, a, b, c string, n int64, yes bool) {
		if which < 0 || which >= len(asks) {
			t.Skip()
		}
		cl, err := client.NewClientWithOpts(
			client.WithHost("unix://"+path),
			client.WithVersion(version),
			client.WithUserAgent("docker"),
		)
		if err != nil {
			t.Skip()
		}
		defer cl.Close()
		asks[which](t.Context(), cl, a, b, c, n, yes)
		for _, r := range engine.take() {
			if err := breaks(r); err != nil {
				t.Errorf("%d, %s, %q, %q, %q, %d, %v: %v", which, version, a, b, c, n, yes, err)
			}
		}
	})
}

// asks are calls of the engine's client, with texts, a number and a choice in important
// places.
var asks = []func(ctx context.Context, cl *client.Client, a, b, c string, n int64, yes bool){
	func(ctx context.Context, cl *client.Client, a, b, c string, n int64, yes bool) {
		_, _ = cl.ContainerCreate(
			ctx,
			&container.Config{Image: a, Volumes: map[string]struct{}{c: {}}},
			&container.HostConfig{
				Binds: []string{
					c + ":/x:" + b,
				}, NetworkMode: container.NetworkMode(a), PidMode: container.PidMode(c), IpcMode: container.IpcMode(c),
				VolumesFrom: []string{b}, Links: []string{a + ":" + b}, OomScoreAdj: int(n), Privileged: yes,
			},
			&network.NetworkingConfig{
				EndpointsConfig: map[string]*network.EndpointSettings{a: {NetworkID: b, Aliases: []string{c}}},
			},
			nil,
			c,
		)
	},
	func(ctx context.Context, cl *client.Client, a, b, c string, n int64, _ bool) {
		_, _ = cl.ContainerCreate(ctx, &container.Config{Image: a, OnBuild: []string{c}}, &container.HostConfig{
			LogConfig: container.LogConfig{
				Type:   c,
				Config: map[string]string{b: c},
			}, Runtime: c, VolumeDriver: b, Sysctls: map[string]string{c: b},
			UTSMode: container.UTSMode(
				c,
			), UsernsMode: container.UsernsMode(b), CgroupnsMode: container.CgroupnsMode(c), SecurityOpt: []string{c},
			Resources: container.Resources{CgroupParent: b, Memory: n},
		}, nil, nil, b)
	},
	func(ctx context.Context, cl *client.Client, a, b, c string, _ int64, yes bool) {
		_, _ = cl.ContainerCreate(
			ctx,
			&container.Config{},
			&container.HostConfig{Annotations: map[string]string{a: b}},
			nil,
			nil,
			c,
		)
		_ = cl.ContainerStart(ctx, a, container.StartOptions{CheckpointID: b, CheckpointDir: c})
		_ = cl.ContainerRename(ctx, a, b)
		_ = cl.ContainerRemove(ctx, b, container.RemoveOptions{Force: yes, RemoveLinks: yes})
		_, _ = cl.ContainerInspect(ctx, c)
	},
	func(ctx context.Context, cl *client.Client, a, b, c string, n int64, yes bool) {
		_, _ = cl.ContainerExecCreate(ctx, a, container.ExecOptions{User: b, Privileged: yes, Cmd: []string{c}})
		_ = cl.ContainerExecStart(ctx, b, container.ExecStartOptions{Detach: true})
		_, _ = cl.ContainerUpdate(ctx, a, container.UpdateConfig{Resources: container.Resources{CgroupParent: b, Memory: n}})
		_, _ = cl.ContainerCommit(
			ctx,
			a,
			container.CommitOptions{Reference: b, Changes: []string{c}, Config: &container.Config{}},
		)
	},
	func(ctx context.Context, cl *client.Client, a, b, c string, _ int64, yes bool) {
		_ = cl.NetworkConnect(ctx, a, b, &network.EndpointSettings{NetworkID: c, Links: []string{b}})
		_ = cl.NetworkDisconnect(ctx, b, c, yes)
		_, _ = cl.NetworkCreate(
			ctx,
			a,
			network.CreateOptions{Driver: b, Scope: c, ConfigOnly: yes, Options: map[string]string{b: c},
				IPAM: &network.IPAM{Driver: b, Config: []network.IPAMConfig{{Subnet: c}}}},
		)
		_ = cl.NetworkRemove(ctx, c)
	},
	func(ctx context.Context, cl *client.Client, a, b, c string, _ int64, yes bool) {
		_, _ = cl.VolumeCreate(
			ctx,
			volume.CreateOptions{Name: a, Driver: b, DriverOpts: map[string]string{"type": c, "device": b}},
		)
		_ = cl.VolumeRemove(ctx, b, yes)
		_, _ = cl.VolumesPrune(ctx, filters.NewArgs(filters.Arg("label", c)))
		_, _ = cl.ContainersPrune(ctx, filters.NewArgs(filters.Arg(a, b)))
	},
}

func TestNetworkInspect_HidesOthers(t *testing.T) {
	t.Parallel()
	status, text := ask(t, newGate(t), http.MethodGet, "/v1.41/networks/bridge", "")
	if status != http.StatusOK || strings.Contains(text, others) || !strings.Contains(text, mine) {
		t.Errorf("%d %s", status, text)
	}
}
