package apiproxy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The policy is repeated here independently of the proxy's tables: it says which requests
// may reach the engine, whatever the build sends.

// sent are the forms of requests that may reach the engine. ID is the full ID of an object
// of the build, NAME the name of an image.
var sent = []string{
	"GET /_ping", "HEAD /_ping", "GET /version", "GET /info", "POST /auth json", "GET /events own",
	"GET /distribution/NAME/json",
	"GET /containers/json own", "POST /containers/prune own", "POST /containers/create json",
	"GET /containers/ID/(json|top|logs|changes|export|stats)",
	"(GET|HEAD) /containers/ID/archive", "PUT /containers/ID/archive tar",
	"POST /containers/ID/(start|stop|restart|kill|pause|unpause|wait|resize|rename)", "POST /containers/ID/attach tcp",
	"POST /containers/ID/(update|exec) json", "DELETE /containers/ID", "GET /exec/ID/json",
	"POST /exec/ID/start json tcp", "POST /exec/ID/resize",
	"POST /commit json", "GET /networks own", "POST /networks/prune own", "POST /networks/create json",
	"(GET|DELETE) /networks/ID",
	"POST /networks/(ID|bridge)/(connect|disconnect) json", "GET /volumes own", "POST /volumes/prune own",
	"POST /volumes/create json",
	"(GET|DELETE) /volumes/mine", "POST /(session|grpc) h2c", "POST /build tar", "GET /images/(json|search|get)",
	"GET /images/NAME/(get|history|json)",
	"POST /images/(load|create) tar", "POST /images/prune own", "POST /images/NAME/(push|tag)", "DELETE /images/NAME",
}

// bodies are the fields that JSON bodies may have, by path and, after a dot, by the
// location of the object. * is any key.
var bodies = map[string]string{
	"/auth":              "auth email identitytoken password registrytoken serveraddress username",
	"/commit":            configKeys,
	"/containers/create": configKeys + " HostConfig NetworkingConfig",
	"/containers/ID/exec": "AttachStderr AttachStdin AttachStdout Cmd ConsoleSize Detach DetachKeys Env " +
		"Privileged Tty User WorkingDir",
	"/exec/ID/start":        "ConsoleSize Detach Tty",
	"/containers/ID/update": resourceKeys,
	"/networks/create": "Attachable CheckDuplicate Driver EnableIPv4 EnableIPv6 IPAM Internal Labels Name " +
		"Options Scope",
	"/networks/create.IPAM":     "Config Driver Options",
	"/networks/ID/connect":      "Container EndpointConfig",
	"/networks/ID/disconnect":   "Container Force",
	"/volumes/create":           "Driver DriverOpts Labels Name",
	"/containers/create.Host":   hostKeys + " " + resourceKeys,
	"/containers/create.Net":    "EndpointsConfig",
	"/endpoint":                 "Aliases DriverOpts GwPriority IPAMConfig Links MacAddress NetworkID",
	"/endpoint.IPAM":            "IPv4Address IPv6Address LinkLocalIPs",
	"/containers/create.Mounts": "BindOptions Consistency ReadOnly Source Target TmpfsOptions Type VolumeOptions",
}

const (
	configKeys = "ArgsEscaped AttachStderr AttachStdin AttachStdout Cmd Domainname Entrypoint Env ExposedPorts " +
		"Healthcheck Hostname Image Labels MacAddress " +
		"NetworkDisabled OnBuild OpenStdin Shell StdinOnce StopSignal StopTimeout Tty User Volumes WorkingDir"
	resourceKeys = "BlkioDeviceReadBps BlkioDeviceReadIOps BlkioDeviceWriteBps BlkioDeviceWriteIOps BlkioWeight " +
		"BlkioWeightDevice CgroupParent CpuCount " +
		"CpuPercent CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime CpuShares CpusetCpus CpusetMems " +
		"DeviceCgroupRules DeviceRequests Devices " +
		"IOMaximumBandwidth IOMaximumIOps KernelMemory KernelMemoryTCP Memory MemoryReservation MemorySwap " +
		"MemorySwappiness NanoCpus OomKillDisable PidsLimit " +
		"RestartPolicy Ulimits"
	hostKeys = "AutoRemove Binds CapAdd CapDrop CgroupnsMode ConsoleSize Dns DnsOptions DnsSearch ExtraHosts GroupAdd " +
		"Init IpcMode Isolation Links LogConfig " +
		"MaskedPaths Mounts NetworkMode OomScoreAdj PidMode PortBindings Privileged PublishAllPorts ReadonlyPaths " +
		"ReadonlyRootfs Runtime SecurityOpt ShmSize " +
		"StorageOpt Sysctls Tmpfs UTSMode UsernsMode VolumeDriver VolumesFrom"
	// emptyKeys may only have empty values.
	emptyKeys = "CapAdd CgroupParent CpuRealtimePeriod CpuRealtimeRuntime DeviceCgroupRules DeviceRequests Devices " +
		"MaskedPaths Privileged ReadonlyPaths " +
		"UTSMode UsernsMode"
)

var (
	ownID    = regexp.MustCompile(`^(?:` + mine + `|` + self + `)$`)
	rightAPI = regexp.MustCompile(`^/v1\.(2[4-9]|[34][0-9]|5[01])(/.*)$`)
)

// breaks returns how a request that reached the engine violates the policy, or nil.
func breaks(r received) error {
	path := r.path
	if m := rightAPI.FindStringSubmatch(path); m != nil {
		path = m[2]
	}
	words := formOf(r.method, path)
	if words == nil {
		return fmt.Errorf("%s %s is not a request that may reach the engine", r.method, r.path)
	}
	kind, upgrade := r.header.Get("Content-Type"), r.header.Get("Upgrade")
	isJSON, isTar := slices.Contains(words, "json"), slices.Contains(words, "tar")
	switch {
	case isJSON && kind != "application/json",
		isTar && kind != "application/x-tar",
		!isJSON && !isTar && (kind != "" || r.body != ""):
		return fmt.Errorf("%s %s has a body of the type %q: %q", r.method, r.path, kind, r.body)
	case upgrade != "" && !slices.Contains(words, upgrade):
		return fmt.Errorf("%s %s changes to %s", r.method, r.path, upgrade)
	case slices.Contains(words, "own") && !strings.Contains(strings.Join(r.query["filters"], ""), `"of=me":true`):
		return fmt.Errorf("%s %s has the filters %q", r.method, r.path, r.query["filters"])
	}
	if err := breaksParameters(path, r.query); err != nil || !isJSON {
		return err
	}
	return breaksBody(strings.ReplaceAll(strings.ReplaceAll(path, mine, "ID"), "/bridge/", "/ID/"), r.body)
}

func formOf(method, path string) []string {
	for _, form := range sent {
		words := strings.Fields(form)
		pattern := strings.NewReplacer("ID", mine, "NAME", `[A-Za-z0-9_.:@+/-]+`).Replace(words[1])
		if regexp.MustCompile("^"+words[0]+"$").MatchString(method) && regexp.MustCompile("^"+pattern+"$").MatchString(path) {
			return words[2:]
		}
	}
	return nil
}

func breaksParameters(path string, query url.Values) error {
	for _, name := range []string{"checkpoint", "checkpoint-dir", "link", "body", "HostConfig"} {
		if query.Has(name) {
			return fmt.Errorf("%s has the parameter %s", path, name)
		}
	}
	mode, shared := strings.CutPrefix(query.Get("networkmode"), "container:")
	switch {
	case path == "/commit" && query.Get("container") != mine:
		return fmt.Errorf("commit of %s", query.Get("container"))
	case path == "/build" && query.Get("remote") != "" && query.Get("remote") != "client-session":
		return fmt.Errorf("build of %s", query.Get("remote"))
	case path == "/build" && (query.Get("cgroupparent") != "" || query.Get("securityopt") != ""):
		return fmt.Errorf("build with rights")
	case path == "/build" && shared && !ownID.MatchString(mode), path == "/build" && mode == "host":
		return fmt.Errorf("build in the network of %s", mode)
	case path == "/images/create" && query.Get("fromSrc") != "" && query.Get("fromSrc") != "-":
		return fmt.Errorf("import of %s", query.Get("fromSrc"))
	}
	return nil
}

func breaksBody(path, text string) error {
	body := map[string]any{}
	decoder := json.NewDecoder(strings.NewReader(text))
	if err := decoder.Decode(&body); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fmt.Errorf("%s: more than one value", path)
	}
	if err := onlyKeys(path, body); err != nil {
		return err
	}
	switch path {
	case "/containers/create":
		return breaksCreate(body)
	case "/containers/ID/update":
		return breaksEmpty(body)
	case "/containers/ID/exec":
		return breaksEmpty(body)
	case "/networks/ID/connect", "/networks/ID/disconnect":
		if of, _ := body["Container"].(string); !ownID.MatchString(of) {
			return fmt.Errorf("%s of %q", path, of)
		}
		if e, connects := body["EndpointConfig"].(map[string]any); connects {
			return breaksEndpoint(e, "")
		}
	case "/volumes/create", "/networks/create":
		if labels, _ := body["Labels"].(map[string]any); labels["of"] != "me" {
			return fmt.Errorf("%s has no label", path)
		}
		if ipam, is := body["IPAM"].(map[string]any); is {
			return onlyKeys("/networks/create.IPAM", ipam)
		}
	}
	return nil
}

func onlyKeys(path string, o map[string]any) error {
	known := strings.Fields(bodies[path])
	for _, key := range slices.Sorted(maps.Keys(o)) {
		if !slices.Contains(known, key) {
			return fmt.Errorf("%s has the field %q", path, key)
		}
	}
	return nil
}

func breaksEmpty(o map[string]any) error {
	for _, key := range strings.Fields(emptyKeys) {
		switch text, _ := json.Marshal(o[key]); string(text) {
		case "null", "false", "0", `""`, "{}":
		case "[]":
			if strings.HasSuffix(key, "Paths") {
				return fmt.Errorf("%s is empty", key)
			}
		default:
			return fmt.Errorf("%s is %s", key, text)
		}
	}
	return nil
}

func breaksCreate(body map[string]any) error {
	host, isMap := body["HostConfig"].(map[string]any)
	if !isMap {
		return fmt.Errorf("there is no HostConfig, so the engine takes one from the fields beside it")
	}
	if err := onlyKeys("/containers/create.Host", host); err != nil {
		return err
	}
	if err := breaksEmpty(host); err != nil {
		return err
	}
	if labels, _ := body["Labels"].(map[string]any); labels["of"] != "me" {
		return fmt.Errorf("a container has no label")
	}
	for _, key := range []string{"NetworkMode", "PidMode", "IpcMode"} {
		mode, _ := host[key].(string)
		of, shared := strings.CutPrefix(mode, "container:")
		switch {
		case shared && ownID.MatchString(of), key == "NetworkMode" && slices.Contains([]string{"bridge", "none", mine}, mode):
		case key == "IpcMode" && slices.Contains([]string{"none", "private", "shareable"}, mode),
			key != "NetworkMode" && host[key] == nil,
			key != "NetworkMode" && host[key] == "":
		default:
			if text, _ := json.Marshal(host[key]); key == "NetworkMode" ||
				!slices.Contains([]string{"false", "0", "[]", "{}"}, string(text)) {
				return fmt.Errorf("%s is %v", key, host[key])
			}
		}
	}
	for _, check := range []func(host map[string]any) error{breaksRelations, breaksMounts, breaksChoices} {
		if err := check(host); err != nil {
			return err
		}
	}
	networking, _ := body["NetworkingConfig"].(map[string]any)
	if err := onlyKeys("/containers/create.Net", networking); err != nil {
		return err
	}
	endpoints, _ := networking["EndpointsConfig"].(map[string]any)
	for name, e := range endpoints {
		e, isMap := e.(map[string]any)
		if !isMap || !slices.Contains([]string{"bridge", "none", mine}, name) {
			return fmt.Errorf("an endpoint in %s: %v", name, e)
		}
		if err := breaksEndpoint(e, name); err != nil {
			return err
		}
	}
	return nil
}

func breaksRelations(host map[string]any) error {
	for _, key := range []string{"VolumesFrom", "Links"} {
		list, _ := host[key].([]any)
		for _, item := range list {
			of, _, _ := strings.Cut(fmt.Sprint(item), ":")
			if !ownID.MatchString(of) {
				return fmt.Errorf("%s of %v", key, item)
			}
		}
	}
	return nil
}

func breaksMounts(host map[string]any) error {
	binds, _ := host["Binds"].([]any)
	for _, item := range binds {
		source, rest, named := strings.Cut(fmt.Sprint(item), ":")
		if named &&
			(!strings.HasPrefix(source, "/engine/") && (strings.HasPrefix(source, "/") || source == "others") ||
				strings.Contains(rest, "shared")) {
			return fmt.Errorf("bind of %v", item)
		}
	}
	mounts, _ := host["Mounts"].([]any)
	for _, item := range mounts {
		m, _ := item.(map[string]any)
		if err := onlyKeys("/containers/create.Mounts", m); err != nil {
			return err
		}
		source, _ := m["Source"].(string)
		switch m["Type"] {
		case "bind":
			if !strings.HasPrefix(source, "/engine/") {
				return fmt.Errorf("mount of %v", item)
			}
		case "volume":
			if source == "others" || strings.Contains(source, "/") {
				return fmt.Errorf("mount of %v", item)
			}
		case "tmpfs":
		default:
			return fmt.Errorf("mount of the type %v", m["Type"])
		}
	}
	return nil
}

func breaksChoices(host map[string]any) error {
	for key, allowed := range map[string]string{"Runtime": "runc io.containerd.runc.v2", "VolumeDriver": "local",
		"CgroupnsMode": "private", "Isolation": "default"} {
		if text, isText := host[key].(string); isText && text != "" && !slices.Contains(strings.Fields(allowed), text) {
			return fmt.Errorf("%s is %q", key, text)
		}
	}
	log, _ := host["LogConfig"].(map[string]any)
	if kind, _ := log["Type"].(string); !slices.Contains([]string{"", "json-file", "local", "none"}, kind) {
		return fmt.Errorf("logs go to %q", kind)
	}
	if score, err := strconv.Atoi(fmt.Sprint(host["OomScoreAdj"])); err == nil && score < 0 {
		return fmt.Errorf("OomScoreAdj is %d", score)
	}
	return nil
}

func breaksEndpoint(e map[string]any, network string) error {
	if err := onlyKeys("/endpoint", e); err != nil {
		return err
	}
	if id, said := e["NetworkID"]; said && id != mine || said && network != "" && id != network {
		return fmt.Errorf("an endpoint of %s in the network %v", network, id)
	}
	ipam, _ := e["IPAMConfig"].(map[string]any)
	return onlyKeys("/endpoint.IPAM", ipam)
}
