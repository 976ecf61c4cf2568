package main

import (
	"bytes"
	"strings"
	"testing"
)

const events = `{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":1}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: no Docker engine: down\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB","Elapsed":0}
{"Action":"pass","Package":"p","Elapsed":2}
`

func TestReport_CountsSkips(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		input   string
		allowed int
		ok      bool
		want    string
	}{
		"expected": {events, 1, true, "skip  p TestB: no Docker engine: down\n1 passed, 0 failed, 1 skipped (1 " +
			"expected)\n"},
		"too many":       {events, 0, false, "more tests were skipped than expected"},
		"nothing ran":    {"", 0, false, "0 passed"},
		"not an event":   {"# linker: warning\n" + events, 1, true, "# linker: warning\n"},
		"failed package": {`{"Action":"fail","Package":"p","Elapsed":1}` + "\n" + events, 1, false, "FAIL  p\n"},
		"failed test": {`{"Action":"output","Package":"q","Test":"TestC","Output":"want 1\n"}` + "\n" +
			`{"Action":"fail","Package":"q","Test":"TestC"}` + "\n" + events, 1, false, "q TestC\nwant 1\n"},
		"killed": {`{"Action":"output","Package":"q","Test":"TestD","Output":"x\n"}` + "\n" + events, 1, false,
			"q TestD: did not end\n"},
	} {
		var out bytes.Buffer
		r := &report{out: &out, output: map[key][]string{}}
		if err := r.read(strings.NewReader(test.input)); err != nil {
			t.Fatal(err)
		}
		if ok := r.finish(test.allowed); ok != test.ok || !strings.Contains(out.String(), test.want) {
			t.Errorf("%s: %t, %s", name, ok, out.String())
		}
	}
}
