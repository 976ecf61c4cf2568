package apiproxy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/engine/docker/apiproxy"
)

const (
	self   = "5e1f5e1f5e1f5e1f5e1f"
	others = "0123456789abcdef0123"
	mine   = "abcdefabcdefabcdefab"
)

// newGate returns a proxy to an engine that has two containers, networks and volumes, named
// mine and others, and that returns every other request.
func newGate(t *testing.T) *apiproxy.Proxy {
	t.Helper()
	g, _ := newEngine(t)
	return g
}

func ask(t *testing.T, g *apiproxy.Proxy, method, path, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestProxy_RefusalMessages(t *testing.T) {
	t.Parallel()
	create := func(host string) string { return `{"Image": "i", "HostConfig": ` + host + `}` }
	const newContainer = "/v1.41/containers/create?name=x"
	for _, test := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", newContainer, create(`{"Privileged": true}`), 403, "privileged container"},
		{"POST", newContainer, create(`{"CapAdd": ["SYS_ADMIN"]}`), 403, "--cap-add"},
		{"POST", newContainer, create(`{"Devices": [{"PathOnHost": "/dev/sda"}]}`), 403, "--device"},
		{"POST", newContainer, create(`{"SecurityOpt": ["seccomp=unconfined"]}`), 403, "--security-opt"},
		{"POST", newContainer, create(`{"CgroupParent": "/"}`), 403, "--cgroup-parent"},
		{"POST", newContainer, create(`{"IpcMode": "host"}`), 403, "--ipc host"},
		{"POST", newContainer, create(`{"UTSMode": "host"}`), 403, "--uts host"},
		{"POST", newContainer, create(`{"UsernsMode": "host"}`), 403, "--userns host"},
		{"POST", newContainer, create(`{"NetworkMode": "container:others"}`), 409, "No such container: others"},
		{"POST", newContainer, create(`{"PidMode": "container:others"}`), 409, "No such container: others"},
		{"POST", newContainer, create(`{"VolumesFrom": ["others:ro"]}`), 409, "No such container: others"},
		{"POST", newContainer, create(`{"Links": ["/others:x"]}`), 409, "No such container: others"},
		{"POST", newContainer, create(`{"NetworkMode": "others"}`), 409, "No such network: others"},
		{"POST", newContainer, `{"NetworkingConfig": {"endpointsconfig": {"others": {}}}}`, 409, "No such network: others"},
		{"POST", newContainer, `{"hostconfig": {"privileged": true}}`, 403, "privileged container"},
		{"POST", newContainer, `{"HostConfig": {}, "hostConfig": {"Privileged": true}}`, 400, "two spellings"},
		{"POST", newContainer, create(`{"privileged": true}`), 403, "privileged container"},
		// U+017F folds to s
		{"POST", newContainer, create(`{"\u017fecurityOpt": ["seccomp=unconfined"]}`), 403, "--security-opt"},
		{"POST", newContainer, create(`{"CapAdd": "ALL"}`), 403, "--cap-add"},
		{"POST", newContainer, create(`{"Privileged": 1}`), 403, "privileged container"},
		{"POST", newContainer, create(`{"MaskedPaths": ["/x"]}`), 403, "systempaths"},
		{"POST", newContainer, create(`{"ReadonlyPaths": []}`), 403, "systempaths"},
		{"POST", newContainer, create(`{"SomethingNew": {"a": 1}}`), 403, "the setting SomethingNew"},
		{"POST", newContainer, create(`{"binds": ["/nowhere:/x"]}`), 403, "/nowhere is nowhere"},
		{"POST", newContainer, create(`{"Binds": "/nowhere:/x"}`), 403, "/nowhere is nowhere"},
		{"POST", newContainer, create(`{"mounts": [{"type": "bind", "source": "/nowhere"}]}`), 403, "/nowhere is nowhere"},
		{"POST", newContainer, create(`{"Mounts": [{"Type": "npipe", "Source": ` +
			`"/nowhere"}]}`), 403, "a mount of the type npipe"},
		{"POST", newContainer, create(`{"Binds": ["others:/x"]}`), 403, "volume others"},
		{"POST", newContainer, create(`{"Mounts": [{"Type": "volume", "Source": "others"}]}`), 403, "volume others"},
		{"POST", newContainer, create(`{"Mounts": [{"Type": "volume", "VolumeOptions": {"DriverConfig": {"Options": ` +
			`{"device": "/etc"}}}}]}`), 403, "/etc"},
		{"POST", newContainer, create(`{"Mounts": [{"type": "volume", "volumeoptions": {"driverconfig": {"options": ` +
			`{"type": "overlay", "o": "lowerdir=/a:/b"}}}}]}`), 403, "lowerdir"},
		{"POST", newContainer, create(`{"Binds": ["/nowhere:/x"]}`), 403, "/nowhere is nowhere"},
		{"POST", newContainer, `[`, 400, "not a JSON"},
		{"POST", "/volumes/create", `{"DriverOpts": {"type": "none", "o": "bind", "device": "/etc"}}`, 403, "/etc"},
		{"POST", "/volumes/create", `{"DriverOpts": {"type": "tmpfs", "o": "bind", "device": "/etc"}}`, 403, "/etc"},
		{"POST", "/volumes/create", `{"DriverOpts": {"type": "tmpfs", "device": "/etc"}}`, 403, "/etc"},
		{"POST", "/volumes/create", `{"DriverOpts": {"type": "nfs", "o": "addr=1.2.3.4,rbind", ` +
			`"device": "/etc"}}`, 403, "/etc"},
		{"POST", newContainer, `{"Hostname": "h", "HostConfig": ` +
			`{"NetworkMode": "host"}}`, 403, "--hostname cannot be combined with --network host"},
		{"POST", newContainer, create(`{"NetworkMode": "host", "ExtraHosts": ` +
			`["a:1.2.3.4"]}`), 403, "--add-host cannot be combined with --network host"},
		{"POST", "/volumes/create", `{"driveropts": {"type": "overlay", "o": "lowerdir=/etc:/usr"}}`, 403, "lowerdir"},
		{"POST", "/volumes/create", `{"Driver": "plugin"}`, 403, "the driver plugin"},
		{"POST", "/volumes/create", `{"Name": "others"}`, 403, "volume others"},
		{"POST", "/networks/create", `{"Name": "n", "driver": "macvlan"}`, 403, "macvlan"},
		{"POST", "/networks/create", `{"Name": "n", "Options": {"com.docker.network.bridge.name": ` +
			`"docker0"}}`, 403, "bridge.name"},
		{"GET", "/networks/others", "", 404, "No such network"},
		{"GET", "/system/df", "", 403, "not available"},
		{"GET", "/plugins/x/json", "", 404, "no plugins"},
		{"POST", "/build?networkmode=host&version=2", "", 403, "--network host"},
		{"DELETE", "/v1.41/volumes/others", "", 404, "No such volume"},
		{"GET", "/containers/others/json", "", 404, "No such container"},
		{"GET", "/containers/" + others + "/logs", "", 404, "No such container"},
		{"DELETE", "/containers/" + self, "", 404, "No such container"}, // the build must not remove its own container
		{"POST", "/containers/others/exec", "{}", 404, "No such container"},
		{"POST", "/containers/mine/exec", `{"Privileged": true}`, 403, "exec --privileged"},
		{"POST", "/containers/mine/exec", `{"privileged": true}`, 403, "exec --privileged"},
		{"POST", "/exec/" + others + "/start", "{}", 404, "No such container"},
		{"POST", "/exec/none/start", "{}", 404, "No such"},
		{"POST", "/commit?container=others", "{}", 404, "No such container"},
		{"DELETE", "/networks/others", "", 404, "No such network"},
		{"POST", "/networks/others/connect", `{"Container": "mine"}`, 404, "No such network"},
		{"POST", "/networks/mine/connect", `{"Container": "others"}`, 404, "No such container"},
		{"POST", "/build?networkmode=container:others", "", 404, "No such container"},
		{"POST", "/build?labels=x", "", 400, "labels"},
		{"DELETE", "/images/others", "", 403, "only images that it created"},
		{"POST", "/build/prune", "", 403, "build cache"},
		{"POST", "/swarm/init", "{}", 403, "is not available with --docker socket"},
		{"GET", "/plugins", "", 403, "is not available with --docker socket"},
		{"GET", "/containers/json?filters=x", "", 400, "filter"},
	} {
		status, text := ask(t, newGate(t), test.method, test.path, test.body)
		if status != test.status || !strings.Contains(text, test.says) {
			t.Errorf("%s %s %s: %d %s; want %d and %q", test.method, test.path, test.body, status, text, test.status, test.says)
		}
	}
}

func TestProxy_RewritesRequests(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ method, path, body, want string }{
		{"GET", "/v1.41/containers/json?all=1", "",
			`GET /v1.41/containers/json?all=1&filters=%7B%22label%22%3A%7B%22of%3Dme%22%3Atrue%7D%7D `},
		{"GET", `/volumes?filters={"label":["a=b"]}`, "",
			`GET /volumes?filters=%7B%22label%22%3A%7B%22a%3Db%22%3Atrue%2C%22of%3Dme%22%3Atrue%7D%7D `},
		{"GET", `/networks?filters={"label":{"a=b":true},"name":{"x":true}}`, "",
			`GET /networks?filters=%7B%22label%22%3A%7B%22a%3Db%22%3Atrue%2C%22of%3Dme%22%3Atrue%7D` +
				`%2C%22name%22%3A%7B%22x%22%3Atrue%7D%7D `},
		{"POST", "/networks/create", `{"Name": "n", "labels": null}`, `POST /networks/create? ` +
			`{"Labels":{"of":"me"},"Name":"n"}`},
		{"POST", "/networks/create", "null", `POST /networks/create? {"Labels":{"of":"me"}}`},
		{"POST", "/volumes/create", `{"Name": "v", "Labels": {"a": "b"}}`, `POST /volumes/create? ` +
			`{"DriverOpts":{},"Labels":{"a":"b","of":"me"},"Name":"v"}`},
		{"POST", "/containers/create", `{"HostConfig": {"NetworkMode": "host", "PidMode": "host", "Memory": ` +
			`9007199254740993, "CapAdd": null, "Devices": [], "MaskedPaths": null, "Privileged": false}}`,
			`POST /containers/create? ` +
				`{"HostConfig":{"CapAdd":null,"Devices":[],"MaskedPaths":null,"Memory":9007199254740993,` +
				`"NetworkMode":"container:` + self + `","PidMode":"container:` + self + `","Privileged":false},` +
				`"Labels":{"of":"me"},"NetworkingConfig":{"EndpointsConfig":{}}}`},
		{"POST", "/containers/create", `{"HostConfig": {"NetworkMode": ` +
			`"container:` + self[:12] + `", "SecurityOpt": ["no-new-privileges"]}}`,
			`POST /containers/create? ` +
				`{"HostConfig":{"NetworkMode":"container:` + self + `","SecurityOpt":["no-new-privileges"]},` +
				`"Labels":{"of":"me"},"NetworkingConfig":{"EndpointsConfig":{}}}`},
		{"POST", "/containers/create", `{"HostConfig": {"VolumesFrom": ["` + self[:12] + `:ro", "mine"]}}`,
			`POST /containers/create? ` +
				`{"HostConfig":{"NetworkMode":"bridge",` +
				`"VolumesFrom":["` + self + `:ro","` + mine + `"]},"Labels":{"of":"me"},` +
				`"NetworkingConfig":{"EndpointsConfig":{"bridge":{}}}}`},
		{"POST", "/containers/create", `{"HostConfig": {"Binds": ["/a:/x:ro", "mine:/y", "/b"], "Mounts": [{"Type": ` +
			`"bind", "Source": "/c", "Target": "/z"}, {"Type": "tmpfs", "Target": "/t"}]}}`,
			`POST /containers/create? ` +
				`{"HostConfig":{"Binds":["/engine/a:/x:ro","mine:/y","/b"],"Mounts":[{"BindOptions":{},"Source":"/engine/c",` +
				`"Target":"/z","Type":"bind"},{"Target":"/t","Type":"tmpfs"}],"NetworkMode":"bridge"},"Labels":{"of":"me"},` +
				`"NetworkingConfig":{"EndpointsConfig":{"bridge":{}}}}`},
		{"POST", "/containers/mine/start", "", "POST /containers/" + mine + "/start? "},
		{"POST", "/exec/" + mine + "/start", "{}", "POST /exec/" + mine + "/start? {}"},
		{"POST", "/networks/mine/connect", `{"Container": "` + self[:12] + `"}`,
			`POST /networks/` + mine + `/connect? {"Container":"` + self + `","EndpointConfig":{"NetworkID":"` + mine + `"}}`},
		{"POST", `/build?labels={"a":"b"}&networkmode=host`, "tar",
			`POST /build?forcerm=1&labels=%7B%22a%22%3A%22b%22%2C%22of%22%3A%22me%22%7D&networkmode=` +
				`container%3A` + self + ` tar`},
		{"POST", "/images/create?fromSrc=-", "tar", `POST /images/create?changes=LABEL+%22of%22%3D%22me%22&fromSrc=- tar`},
		{"POST", "/images/create?fromImage=x", "", `POST /images/create?fromImage=x `},
		{"DELETE", "/images/mine", "", "DELETE /images/mine:latest? "},
		{"DELETE", "/containers/mine?force=1", "", "DELETE /containers/" + mine + "?force=1&v=1 "},
		{"POST", "/volumes/create", `{"DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": ` +
			`"size=1m"}}`, `POST /volumes/create? ` +
			`{"DriverOpts":{"device":"tmpfs","o":"size=1m","type":"tmpfs"},"Labels":{"of":"me"}}`},
		{"POST", "/containers/create", `{"Hostname": "", "exposedports": {"80/tcp": {}}, "HostConfig": {"NetworkMode": ` +
			`"host", "PortBindings": {"80/tcp": [{}]}}}`,
			`POST /containers/create? ` +
				`{"HostConfig":{"NetworkMode":"container:` + self + `"},"Hostname":"","Labels":{"of":"me"},` +
				`"NetworkingConfig":{"EndpointsConfig":{}}}`},
	} {
		status, got := ask(t, newGate(t), test.method, test.path, test.body)
		if diff := cmp.Diff(strings.TrimSpace(test.want), got); status != 200 || diff != "" {
			t.Errorf("%s %s: %d (-want +got)\n%s", test.method, test.path, status, diff)
		}
	}
}

func TestProxy_PrivilegedBuild(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	g.Privileged, g.KeepImages = true, true
	if status, got := ask(t, g, "POST", "/containers/create", `{"HostConfig": {"Privileged": true, `+
		`"Devices": [1]}}`); status != 200 {
		t.Errorf("%d %s", status, got)
	}
	if _, got := ask(t, g, "POST", "/build", ""); !strings.Contains(got, "labels=%7B%7D") {
		t.Errorf("an image that stays has labels: %s", got)
	}
}

func TestRemoveImage_OwnTag(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	if status, got := ask(t, g, "DELETE", "/images/new", ""); status != 403 {
		t.Errorf("%d %s", status, got)
	}
	for _, path := range []string{"/images/x/tag?repo=new&tag=latest", "/images/x/tag?repo=others",
		"/build?t=built:1&t=r.example:5000/b", "/commit?container=mine&repo=kept&tag=2",
		"/images/create?fromSrc=-&repo=imported"} {
		if status, got := ask(t, g, "POST", path, "{}"); status != 200 {
			t.Errorf("%s: %d %s", path, status, got)
		}
	}
	if status, got := ask(t, g, "DELETE", "/images/new", ""); status != 200 { // it has changed in the meantime
		t.Errorf("%d %s", status, got)
	}
	if status, got := ask(t, g, "DELETE", "/images/others", ""); status != 403 { // it still belongs to the host
		t.Errorf("%d %s", status, got)
	}
	want := []string{"built:1", "imported:latest", "kept:2", "new:latest", "others:latest", "r.example:5000/b:latest"}
	if diff := cmp.Diff(want, g.Named()); diff != "" {
		t.Error(diff)
	}
}

func TestClose_RefusesNewObjects(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	g.Close(t.Context())
	if status, got := ask(t, g, "POST", "/containers/create", "{}"); status != 403 || !strings.Contains(got, "has ended") {
		t.Errorf("%d %s", status, got)
	}
}

func TestClose_InterruptsPull(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	r, w := io.Pipe()
	defer w.Close() // the import never ends
	began := make(chan struct{})
	go func() {
		close(began)
		g.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/images/create?fromSrc=-", r))
	}()
	<-began
	if _, err := w.Write([]byte("tar")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	g.Close(ctx)
	if ctx.Err() != nil {
		t.Error("Close waits for it")
	}
}

func TestProxy_RefusesForms(t *testing.T) {
	t.Parallel()
	request := httptest.NewRequest("POST", "/containers/create", strings.NewReader("{}"))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	newGate(t).ServeHTTP(w, request)
	if w.Code != http.StatusUnsupportedMediaType {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestMetadataEndpoint_Blocked(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	g.Unreachable = []string{"169.254.169.254"}
	for body, want := range map[string]string{
		`{}`: `"bridge":{"IPAMConfig":{"LinkLocalIPs":["169.254.169.254"]}}`,
		`{"HostConfig": {"NetworkMode": "mine"}, "NetworkingConfig": {"EndpointsConfig": {"mine": {"IPAMConfig": ` +
			`{"IPv4Address": "1.2.3.4"}}}}}`: `"` + mine + `":{"IPAMConfig":{"IPv4Address":"1.2.3.4",` +
			`"LinkLocalIPs":["169.254.169.254"]}`,
		`{"HostConfig": {"NetworkMode": "none"}}`: `"EndpointsConfig":{}`,
	} {
		if status, got := ask(t, g, "POST", "/containers/create", body); status != 200 || !strings.Contains(got, want) {
			t.Errorf("%s: %d %s", body, status, got)
		}
	}
}

func TestProxy_EngineUnreachable(t *testing.T) {
	t.Parallel()
	g := &apiproxy.Proxy{Dial: func(context.Context) (net.Conn, error) { return nil, errors.New("gone") }, Label: "of=me"}
	for _, path := range []string{"/version", "/containers/x/json"} {
		if status, got := ask(t, g, "GET", path, ""); status != 502 || !strings.Contains(got, "gone") {
			t.Errorf("%s: %d %s", path, status, got)
		}
	}
}

// FuzzRequests checks that no request of a build causes a panic, or names an object of
// others.
func FuzzRequests(f *testing.F) {
	f.Add("POST", "/containers/create", `{"HostConfig": {"Binds": ["/a:/x"], "Mounts": [{"Type": "volume"}]}}`)
	f.Add("GET", "/containers/json?filters={}", "")
	f.Add("POST", "/networks/create", `{"Labels": null}`)
	f.Fuzz(func(t *testing.T, method, path, body string) {
		request, err := http.NewRequest(method, "http://x/"+strings.TrimPrefix(path, "/"), bytes.NewReader([]byte(body)))
		if err != nil {
			t.Skip()
		}
		asked := ""
		g := &apiproxy.Proxy{
			Dial: func(context.Context) (net.Conn, error) { return nil, errors.New("gone") }, Label: "of=me",
			Labels: map[string]string{"of": "me"},
			Paths: func(_ context.Context, all []apiproxy.Path) ([]string, error) {
				for _, p := range all {
					asked += p.Name
				}
				return nil, errors.New("none")
			},
		}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, request)
		if w.Code == http.StatusOK {
			t.Errorf("%s %s: %d without an engine", method, path, w.Code)
		}
	})
}
