//go:build !unix

package cache

const nonblocking = 0
