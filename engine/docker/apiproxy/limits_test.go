package apiproxy_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/engine/docker/apiproxy"
)

// TestProxy_RefusesFields checks that fields with which a container or an image would get
// more access than the build are refused, with a message that names them.
func TestProxy_RefusesFields(t *testing.T) {
	t.Parallel()
	const create, image = "/v1.41/containers/create", "tar"
	host := func(fields string) string { return `{"Image": "i", "HostConfig": {` + fields + `}}` }
	endpoint := `{"HostConfig": {"NetworkMode": "mine"}, "NetworkingConfig": {"EndpointsConfig": {"mine": ` +
		`{"networkID": "` + others + `"}}}}`
	for _, test := range []struct{ path, body, says string }{
		{create, host(`"LogConfig": {"type": "syslog"}`), "the log driver"},
		{create, host(`"LogConfig": {"Config": {"syslog-address": "tcp://1.2.3.4"}}`), "the log option syslog-address"},
		{create, host(`"OomScoreAdj": -900`), "--oom-score-adj"},
		{create, host(`"Runtime": "other"`), "--runtime"},
		{create, host(`"Annotations": {"a": "b"}`), "the setting Annotations"},
		{create, host(`"Sysctls": {"kernel.panic": "1"}`), "kernel.panic"},
		{create, host(`"Ulimits": [{"Name": "rtprio", "Hard": 99, "Soft": 99}]`), "rtprio"},
		{create, host(`"CgroupnsMode": "host"`), "--cgroupns"},
		{create, host(`"VolumeDriver": "other"`), "--volume-driver"},
		{create, host(`"Binds": ["/a:/b:rshared"]`), "rshared"},
		{create, host(`"Mounts": [{"Type": "bind", "Source": "/a", "BindOptions": {"Propagation": ` +
			`"shared"}}]`), "propagation"},
		{create, host(`"StorageOpt": {"dm.x": "1"}`), "dm.x"},
		{create, `{"OnBuild": ["ADD http://x/y /z"]}`, "ADD http://x/y"},
		{create, `{"Volumes": {"a:/b": {}}}`, "a:/b"},
		{create, endpoint, "No such network"},
		{"/networks/mine/connect", `{"Container": "mine", "EndpointConfig": ` +
			`{"NetworkID": "` + others + `"}}`, "No such network"},
		{"/networks/create", `{"Name": "n", "IPAM": {"Config": [{"Subnet": "169.254.0.0/16"}]}}`, "169.254.0.0/16"},
		{"/networks/create", `{"Name": "n", "IPAM": {"Config": [{"Subnet": "0.0.0.0/0"}]}}`, "0.0.0.0/0"},
		{"/networks/create", `{"Name": "n", "ConfigFrom": {"Network": "others"}}`, "ConfigFrom"},
		{"/containers/mine/start", `{"Privileged": true}`, "takes no body"},
		{"/containers/mine/update", `{"CgroupParent": "/"}`, "--cgroup-parent"},
		{"/build?remote=http://x/y", image, "would fetch http://x/y"},
		{"/build?remote=git://x/y&version=2", image, "would fetch git://x/y"},
		{"/build?networkmode=mine", image, "metadata service"},
		{"/build?cgroupparent=/", image, "--cgroup-parent"},
		{"/build?securityopt=a", image, "--security-opt"},
		{"/build?version=3", image, "builder version"},
		{"/images/create?fromSrc=http://x/y", image, "would fetch http://x/y"},
		{"/images/create?fromSrc=-&changes=ONBUILD%20%5C&changes=ADD%20http://x/y%20/z", image, "ADD http://x/y"},
		{"/commit?container=mine&changes=ONBUILD+ADD+http://x/y+/z", "{}", "ADD http://x/y"},
		{"/images/mine/tag?repo=a&tag=b:c", "", "invalid image name"},
		{"/build?t=a&t=b@sha256:c", image, "invalid image name"},
		{"/containers/create?name=a&name=b", "{}", "2 times"},
	} {
		g, engine := newEngine(t)
		g.Unreachable = []string{"169.254.169.254"}
		status, text := ask(t, g, http.MethodPost, test.path, test.body)
		if status < 400 || !strings.Contains(text, test.says) {
			t.Errorf("%s %s: %d %s; want %q", test.path, test.body, status, text, test.says)
		}
		if reached := engine.take(); len(reached) > 0 {
			t.Errorf("%s %s reaches the engine: %v", test.path, test.body, reached)
		}
	}
}

func TestProxy_SendsFullIDs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ method, path, body, want string }{
		{"POST", "/containers/create", `{"HostConfig": {"PidMode": "container:mine", "IpcMode": ` +
			`"container:mine"}}`, `"IpcMode":"container:` + mine},
		{"POST", "/containers/create", `{"HostConfig": {"PidMode": "container:mine"}}`, `"PidMode":"container:` + mine},
		{"POST", "/containers/create", `{"HostConfig": {"NetworkMode": ` +
			`"container:mine"}}`, `"NetworkMode":"container:` + mine},
		{"POST", "/containers/create", `{"HostConfig": {"Links": ["mine"]}}`, `"Links":["` + mine + `:mine"]`},
		{"POST", "/build?networkmode=container:mine", "", "networkmode=container%3A" + mine},
		{"DELETE", "/images/mine", "", "DELETE /images/mine:latest?"},
		{"DELETE", "/images/" + mine[:8], "", "DELETE /images/sha256:" + mine + "?"},
	} {
		if status, got := ask(t, newGate(t), test.method, test.path, test.body); status != http.StatusOK ||
			!strings.Contains(got, test.want) {
			t.Errorf("%s %s: %d %s; want %q", test.path, test.body, status, got, test.want)
		}
	}
}

func TestTag_InRepositoryName(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	if status, got := ask(t, g, "POST", "/images/x/tag?repo=r.example:5000/a:b&tag=c", ""); status != http.StatusOK ||
		!strings.Contains(
			got,
			"repo=r.example%3A5000%2Fa&tag=c",
		) || !slices.Equal(g.Named(), []string{"r.example:5000/a:c"}) {
		t.Errorf("%d %s, %q", status, got, g.Named())
	}
}

func TestImport_LabelsBeforeChanges(t *testing.T) {
	t.Parallel()
	status, got := ask(t, newGate(t), "POST", `/images/create?fromSrc=-&changes=ENV+a=b+%5C`, "tar")
	if label := strings.Index(got, "LABEL"); status != http.StatusOK || label < 0 || label > strings.Index(got, "ENV") {
		t.Errorf("%d %s", status, got)
	}
}

func TestNote_OnceForBuildKit(t *testing.T) {
	t.Parallel()
	g, _ := newEngine(t)
	var notes []string
	g.Note = func(text string) { notes = append(notes, text) }
	ask(t, g, "POST", "/session", "") // metadata addresses are allowed
	g.Unreachable = []string{"169.254.169.254"}
	ask(t, g, "POST", "/build", "")
	if len(notes) > 0 {
		t.Errorf("%q", notes)
	}
	ask(t, g, "POST", "/session", "")
	ask(t, g, "POST", "/grpc", "")
	if len(notes) != 1 || !strings.Contains(notes[0], "metadata service") {
		t.Errorf("%q", notes)
	}
}

func TestVersion_LimitedToKnown(t *testing.T) {
	t.Parallel()
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", "1.99")
		_, _ = io.WriteString(w, `{"ApiVersion": "1.99", "Arch": "amd64"}`)
	}))
	defer engine.Close()
	g := &apiproxy.Proxy{Label: "of=me", Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", engine.Listener.Addr().String())
	}}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/version", nil))
	if got := w.Body.String(); w.Header().Get("Api-Version") != "1.51" || !strings.Contains(got, `"1.51"`) ||
		!strings.Contains(got, "amd64") {
		t.Errorf("%v %s", w.Header(), got)
	}
}
