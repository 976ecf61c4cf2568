package aws_test

import (
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/aws"
)

func TestBuilds_RecordAndLog(t *testing.T) {
	s := shell(t, plain)
	s.Builds = map[string]string{"shop:1": `{"id":"shop:1"}`}
	s.Logs = map[string][]string{"/g:s": {"one\n", "two", "three\n", "four", "five"}}
	a := open(t, aws.Options{Profile: "dev"})
	now := time.Now()
	text, err := a.Builds(t.Context(), "", "shop:1", now)
	if err != nil || !strings.Contains(string(text), `"builds":[{"id":"shop:1"}]`) {
		t.Errorf("record: %s, %v", text, err)
	}
	log, err := a.Log(t.Context(), "eu-west-1", "/g", "s", now)
	if err != nil || log != "one\ntwo\nthree\nfour\nfive\n" {
		t.Errorf("log: %q, %v", log, err)
	}
	for _, q := range s.Requests() {
		if q.AccessKey != "AKIADEV0000000000001" {
			t.Errorf("%s is signed by %q", q.Operation, q.AccessKey)
		}
	}
}

func TestBuilds_Errors(t *testing.T) {
	s := shell(t, plain)
	s.Denied = map[string]bool{"BatchGetBuilds": true}
	a := open(t, aws.Options{Profile: "dev"})
	now := time.Now()
	if _, err := a.Builds(t.Context(), "", "x:1", now); err == nil ||
		!strings.Contains(err.Error(), "not authorized to perform: codebuild:BatchGetBuilds") {
		t.Errorf("denied: %v", err)
	}
	if _, err := a.Log(t.Context(), "", "/g", "s", now); err == nil ||
		!strings.Contains(err.Error(), "ResourceNotFoundException: The specified log stream does not exist.") {
		t.Errorf("no log: %v", err)
	}
	s.Expired = true
	if _, err := a.Builds(t.Context(), "", "x:1", now); err == nil || !strings.Contains(err.Error(), "aws sso login") {
		t.Errorf("expired: %v", err)
	}
}
