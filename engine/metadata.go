package engine

// Metadata is an address at which a cloud publishes data about a machine, often including
// credentials.
type Metadata struct {
	Address string // an IP address in its usual notation
	// LinkLocal addresses are of IPv4. A container can have them as its own, and its
	// connections to them then end in itself.
	LinkLocal bool
}

// MetadataAddresses returns the addresses that a build must not reach unless
// Network.Metadata is set. They are those that the providers document.
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

// LinkLocalMetadata returns the metadata addresses that a container can have as its own.
// An engine whose containers share only a bridge cannot block the others: it cannot assign
// them, or they are of IPv6, which its default network does not have.
func LinkLocalMetadata() []string {
	var all []string
	for _, m := range MetadataAddresses() {
		if m.LinkLocal {
			all = append(all, m.Address)
		}
	}
	return all
}
