package engine

// Bind is a file or directory of the host that the container shares: what it writes there is written
// on the host. A driver that can bind only directories returns ErrUnsupported for a file.
type Bind struct {
	Host     string // absolute path on the host, which exists
	Path     string // absolute, in the container
	ReadOnly bool
}

// HostName is an additional name that processes of the container can resolve.
type HostName struct{ Name, IP string }

// Port is a TCP port of the container that is also a port of the host.
type Port struct {
	Host      string // the host's port, or ADDRESS:PORT; without an address all of its addresses
	Container int
}
