package main

import (
	"strings"
	"testing"
)

func TestTable_KindsOfResults(t *testing.T) {
	t.Parallel()
	want := strings.TrimPrefix(`
linux/amd64, 2 CPUs, Docker 20.10.24, image base, 0001-01-01

| workload | arm               |      median s |   min |   max | minus W1 | ratio to docker run | peak MiB |
| -------- | ----------------- | ------------: | ----: | ----: | -------: | ------------------: | -------: |
| W1       | docker run        |         0.200 | 0.100 | 0.400 |          |                1.00 |     24.0 |
| W1       | buildlocal        |         0.300 | 0.300 | 0.900 |          |                1.50 |     15.0 |
| W1       | act               | not installed |       |       |          |                     |          |
| W2       | docker run        |         0.250 | 0.250 | 0.250 |   +0.050 |                1.00 |          |
| W2       | buildlocal        |         1.000 | 1.000 | 1.000 |   +0.700 |                4.00 |          |
| W2       | act               |        failed |       |       |          |                     |          |
| startup  | buildlocal --help |         0.030 | 0.030 | 0.030 |          |                     |      8.8 |

Peak: memory of the client, not of the engine. Values below 8.5 MiB cannot be measured.

W1: buildlocal at most 1.05 x docker run: missed, 1.50 x
W2: buildlocal at most 0.35 s more than W1: missed, +0.700 s
startup: buildlocal --help below 30 ms: missed, 30.0 ms
startup: buildlocal binary at most 27 MB: met, 26.5 MB
36 targets were not measured.

W2, act failed:
  exit status 3
  no space left
`, "\n")
	var got strings.Builder
	if err := someReport().print(&got); err != nil {
		t.Fatal(err)
	}
	if got.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", &got, want)
	}
}

func TestAlign_CountsCharacters(t *testing.T) {
	t.Parallel()
	got := align([][]string{{"ä", "b", "number"}, {"cc", "ddd", "é"}})
	want := "" +
		"| ä  | b   | number |\n" +
		"| -- | --- | -----: |\n" +
		"| cc | ddd |      é |\n"
	if got != want {
		t.Errorf("align =\n%swant\n%s", got, want)
	}
}
