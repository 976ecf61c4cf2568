package runner

import (
	"strings"
	"testing"
)

func TestAdvice_CommonFailures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		exit    int
		printed string
		want    string // part of the advice; empty for none
	}{
		{1, "whatever", ""},
		{
			126,
			"docker: OCI runtime create failed: unable to apply cgroup configuration: mkdir /sys/fs/cgroup/cpu/docker: " +
				"permission denied",
			"version 2",
		},
		{126, "script.sh: 4: ./run: Permission denied", "not executable"},
		{127, "script.sh: 4: foo: not found", "install foo in the install phase"},
		{137, "", "memory"},
		{139, "Segmentation fault", "segmentation fault"},
		{2, "exec ./tool: exec format error", "another architecture"},
		{126, "./a: cannot execute binary file: Exec format error", "another architecture"},
		{127, "/usr/bin/env: 'bash\r': No such file or directory", "CRLF"},
		{2, "script.sh: 5: set: Illegal option -o pipefail", "shell: bash"},
		{127, "script.sh: 4: [[: not found", "shell: bash"},
		{2, "script.sh: 4: Syntax error: \"(\" unexpected", "shell: bash"},
		{
			125,
			"docker: Error response from daemon: Conflict. The container name \"/web\" is already in use by container " +
				"\"1\".",
			"--docker socket",
		},
		{127, "sh: 4: docker: not found", "no docker command"},
		{1, "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "--privileged"},
		{1, "tar: write error: No space left on device", "disk is full"},
		{1, "npm ERR! EXDEV: cross-device link not permitted, rename 'a' -> 'b'", "mv copes"},
		{1, "chown: changing ownership of 'x': Invalid argument", "root alone"},
		{1, "mv: cannot remove 'x': Value too large for defined data type", "chgrp"},
	}
	for _, test := range tests {
		_, got, _ := advice(test.exit, test.printed, nil, nil)
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%d %q: %q, want %q", test.exit, test.printed, got, test.want)
		}
	}
}
