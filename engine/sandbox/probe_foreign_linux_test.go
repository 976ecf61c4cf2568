//go:build !amd64

package sandbox_test

import "golang.org/x/sys/unix"

var foreignWant map[string]unix.Errno

func foreign() map[string]unix.Errno { return nil }
