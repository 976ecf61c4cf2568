package engine

// Metadata is an address at which a cloud tells a machine about itself, and often its
// credentials.
type Metadata struct {
	Address string // as it is usually written
	// LinkLocal addresses are of IPv4 and can be given to a container as its own, so
	// that its connections to them end in itself.
	LinkLocal bool
}

// MetadataAddresses returns the addresses that a build does not reach unless
// Spec.Metadata is set.
func MetadataAddresses() []Metadata {
	return []Metadata{
		{"169.254.169.254", true},     // EC2, GCP, Azure, OpenStack, DigitalOcean and others
		{"169.254.170.2", true},       // ECS, and CodeBuild
		{"169.254.170.23", true},      // EKS
		{"169.254.0.23", true},        // Tencent
		{"169.254.42.42", true},       // Scaleway
		{"100.100.100.200", false},    // Alibaba
		{"168.63.129.16", false},      // Azure's host
		{"192.0.0.192", false},        // Oracle
		{"fd00:ec2::254", false},      // EC2
		{"fd00:ec2::23", false},       // EKS
		{"fd20:ce::254", false},       // GCP
		{"fd00:c1::a9fe:a9fe", false}, // Oracle
		{"fd00:42::42", false},        // Scaleway
		{"fd00:a9fe:a9fe::1", false},  // Linode
		{"fe80::a9fe:a9fe", false},    // OpenStack
	}
}
