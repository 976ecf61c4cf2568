package cmd_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts_S3 runs scripts against a real S3 server, versitygw, which stores objects as
// files. BUCKET is the directory of its bucket.
func TestScripts_S3(t *testing.T) {
	program, err := exec.LookPath("versitygw")
	if err != nil {
		program, err = filepath.Abs("../bin/versitygw")
	}
	if _, failed := os.Stat(program); err != nil || failed != nil {
		if os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") != "" {
			t.Fatal("no S3 server: make bin/versitygw")
		}
		t.Skip("no S3 server: make bin/versitygw")
	}
	runScripts(t, "../testdata/script/s3", func(p *testscript.Params) {
		first := p.Setup
		p.Setup = func(env *testscript.Env) error {
			if err := first(env); err != nil {
				return err
			}
			return serveS3(env, program)
		}
	})
}

// serveS3 starts a server for one script.
func serveS3(env *testscript.Env, program string) error {
	dir := filepath.Join(env.Getenv("WORK"), ".s3")
	bucket, beside := filepath.Join(dir, "data", "bucket"), filepath.Join(dir, "beside")
	for _, d := range []string{bucket, beside} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	c := exec.Command(
		program,
		"--port",
		address,
		"--access",
		"AKIATESTS3",
		"--secret",
		"test/s3/secret",
		"--quiet",
		"posix",
		"--sidecar",
		beside,
		filepath.Dir(bucket),
	)
	if err := c.Start(); err != nil {
		return err
	}
	env.Defer(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIATESTS3", "AWS_SECRET_ACCESS_KEY": "test/s3/secret", "AWS_ENDPOINT_URL": "http://" + address,
		"BUCKET":                    bucket,
		"AWS_EC2_METADATA_DISABLED": "true", "HOME": env.Getenv("WORK"),
	} {
		env.Setenv(name, value)
	}
	for range 200 {
		if conn, err := net.Dial("tcp", address); err == nil {
			return conn.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("%s does not answer at %s", program, address)
}
