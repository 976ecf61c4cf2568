package apiproxy

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
)

// configFields are the fields of a container's configuration, in requests to create a
// container and to commit one. The tables are built on first use: a run without --docker socket
// does not need them.
var configFields = sync.OnceValue(func() fields {
	return fieldList(
		"ArgsEscaped", "AttachStderr", "AttachStdin", "AttachStdout", "Cmd", "Domainname", "Entrypoint",
		"Env", "ExposedPorts", "Healthcheck", "Hostname", "Image", "Labels", "MacAddress",
		"NetworkDisabled", "OpenStdin", "Shell", "StdinOnce", "StopSignal", "StopTimeout", "Tty", "User",
		"WorkingDir",
	).
		// In this old notation a key is a path in the container, and the engine creates an anonymous
		// volume there.
		with(keysOf("a volume at", func(at string) bool { return strings.HasPrefix(at, "/") }), "Volumes").
		with(checkTriggers, "OnBuild")
})

// createFields are the fields of a request to create a container. Some clients repeat the
// parameters in the body.
var createFields = sync.OnceValue(func() fields {
	all := fieldList("HostConfig", "NetworkingConfig").without("name", "platform", "_query", "abortSignal")
	for name, f := range configFields() {
		all[name] = f
	}
	return all
})

// resourceFields are the limits of a container, which can also be updated.
var resourceFields = sync.OnceValue(func() fields {
	return fieldList(
		// Limits can only restrict a container, apart from those below with a check.
		"BlkioDeviceReadBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteBps", "BlkioDeviceWriteIOps",
		"BlkioWeight", "BlkioWeightDevice", "CpuCount", "CpuPercent", "CpuPeriod", "CpuQuota", "CpuShares",
		"CpusetCpus", "CpusetMems", "IOMaximumBandwidth", "IOMaximumIOps", "KernelMemory",
		"KernelMemoryTCP", "Memory", "MemoryReservation", "MemorySwap", "MemorySwappiness", "NanoCpus",
		"OomKillDisable", "PidsLimit", "RestartPolicy",
	).
		// Another cgroup parent would escape the memory and CPU limit of the build.
		with(booleanRight("--cgroup-parent"), "CgroupParent").
		// Devices of the host, such as disks, give access to everything on it.
		with(booleanRight("--device"), "Devices").
		with(booleanRight("--device-cgroup-rule"), "DeviceCgroupRules").
		with(booleanRight("--gpus"), "DeviceRequests").
		with(booleanRight("--cpu-rt-runtime"), "CpuRealtimePeriod", "CpuRealtimeRuntime").
		with(checkUlimits, "Ulimits")
})

// hostFields are the fields of HostConfig. createContainer checks the meaning of those that
// refer to other objects, such as Binds and NetworkMode.
var hostFields = sync.OnceValue(func() fields {
	all := fieldList(
		"AutoRemove", "Binds", "CapDrop", "ConsoleSize", "Dns", "DnsOptions", "DnsSearch", "ExtraHosts",
		"GroupAdd", "Init", "IpcMode", "Links", "Mounts", "NetworkMode", "PidMode", "PortBindings",
		"PublishAllPorts", "ReadonlyRootfs", "ShmSize", "Tmpfs", "UTSMode", "UsernsMode", "VolumesFrom",
	).
		without("ContainerIDFile"). // the client creates this file itself
		with(booleanRight("a privileged container"), "Privileged").
		with(booleanRight("--cap-add"), "CapAdd").
		// MaskedPaths hide files such as /proc/kcore, and ReadonlyPaths protect /proc/sys.
		with(unmasked, "MaskedPaths", "ReadonlyPaths").
		with(checkSecurity, "SecurityOpt").
		with(rightUnless("--cgroupns", "private"), "CgroupnsMode").
		with(rightUnless("--isolation", "default"), "Isolation").
		// Another runtime may be configured to run outside of namespaces.
		with(rightUnless("--runtime", "runc", "io.containerd.runc.v2"), "Runtime").
		with(rightUnless("--volume-driver", "local"), "VolumeDriver").
		with(checkLog, "LogConfig").
		with(checkScore, "OomScoreAdj").
		with(keysOf("the storage option", func(key string) bool { return key == "size" }), "StorageOpt").
		// The engine itself refuses sysctls without a namespace, but by a list of its own version.
		with(keysOf("the sysctl", ofNamespace), "Sysctls")
	for name, f := range resourceFields() {
		all[name] = f
	}
	return all
})

// execFields are the fields of a process in a container. Container repeats the ID of the
// path.
var execFields = sync.OnceValue(func() fields {
	return fieldList(
		"AttachStderr", "AttachStdin", "AttachStdout", "Cmd", "ConsoleSize", "Detach", "DetachKeys", "Env",
		"Tty", "User", "WorkingDir",
	).without("Container", "id", "abortSignal").with(booleanRight("exec --privileged"), "Privileged")
})

// booleanRight returns a check of a field that would give a container more access to the
// host than usual. It is allowed only if the build itself has that access.
func booleanRight(flag string) func(*Proxy, any) error {
	return func(g *Proxy, value any) error {
		if g.Privileged || empty(value) {
			return nil
		}
		return refuse("%s requires a build with --privileged", flag)
	}
}

// rightUnless is like booleanRight, but always allows some values. It is for fields in which one
// value is a right and another is not.
func rightUnless(flag string, allowed ...string) func(*Proxy, any) error {
	return func(g *Proxy, value any) error {
		if text, _ := value.(string); slices.Contains(allowed, text) {
			return nil
		}
		return booleanRight(flag+" "+shown(value))(g, value)
	}
}

// unmasked checks lists of masked paths. Even an empty list gives more access than the
// default.
func unmasked(g *Proxy, value any) error {
	if value == nil {
		return nil
	}
	return booleanRight("--security-opt systempaths")(g, true)
}

// checkSecurity allows options that only remove rights.
func checkSecurity(g *Proxy, value any) error {
	options, err := object{"SecurityOpt": value}.list("SecurityOpt")
	if err != nil {
		return err
	}
	for _, option := range options {
		// seccomp=unconfined, apparmor=unconfined and label=disable each remove a barrier to the host.
		if !slices.Contains([]string{"no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"}, option) {
			return booleanRight("--security-opt "+option)(g, true)
		}
	}
	return nil
}

// checkLog allows log drivers that write on the engine's host. Others send logs from its
// network.
func checkLog(g *Proxy, value any) error {
	if empty(value) {
		return nil
	}
	config, isMap := value.(map[string]any)
	if !isMap {
		return badRequest("LogConfig must be an object")
	}
	return g.admit(config, "a log", fields{}.
		// syslog, journald, fluentd and others connect to addresses that the request names.
		with(oneOf("the log driver", "json-file", "local", "none"), "Type").
		with(keysOf("the log option", func(key string) bool {
			return slices.Contains([]string{
				"max-size", "max-file", "compress", "mode", "max-buffer-size", "labels", "labels-regex", "env", "env-regex", "tag",
			}, key)
		}), "Config"))
}

// checkScore refuses containers that the OOM killer would spare.
func checkScore(g *Proxy, value any) error {
	number, isNumber := value.(json.Number)
	if score, err := number.Int64(); value == nil || isNumber && err == nil && score >= 0 {
		return nil
	}
	return booleanRight("a negative --oom-score-adj")(g, true)
}

// checkUlimits refuses limits that allow real-time priority.
func checkUlimits(g *Proxy, value any) error {
	list, _ := value.([]any)
	if !empty(value) && list == nil {
		return badRequest("Ulimits must be a list")
	}
	for _, item := range list {
		limit, isMap := item.(map[string]any)
		if !isMap {
			return badRequest("Ulimits must be a list of objects")
		}
		if err := g.admit(limit, "a limit", fieldList("Hard", "Soft").with(
			// rtprio and nice are missing: they allow to starve the other processes of the host.
			oneOf("the limit", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nofile", "nproc", "rss",
				"sigpending", "stack"),
			"Name")); err != nil {
			return err
		}
	}
	return nil
}

// ofNamespace reports whether a kernel parameter belongs to a container's namespace, not to
// the host.
func ofNamespace(name string) bool {
	for _, prefix := range []string{"net.", "fs.mqueue.", "kernel.msg", "kernel.sem", "kernel.shm"} {
		if strings.HasPrefix(name, prefix) {
			return !strings.ContainsAny(name, "/ ")
		}
	}
	return false
}
