//go:build !unix

package regular

// nonblock is not needed on systems without named pipes in the file system.
const nonblock = 0
