package geo

// Reason is why an address has no country. It is the only kind of error that this package returns, and compares with ==.
type Reason string

// The reasons. The first four are about the database, the others about the address.
const (
	// Missing: there is no such file, or no path was given.
	Missing Reason = "database missing"
	// Unreadable: the file is there but cannot be read, is no regular file, or is larger than 1 GiB.
	Unreadable Reason = "database unreadable"
	// Corrupt: the file is not a MaxMind database, or is a damaged one.
	Corrupt Reason = "database corrupt"
	// WrongType: the database holds no countries, or is of a type that is not known: only Country, City and Enterprise are.
	WrongType Reason = "database of the wrong type"

	// Invalid: the address is the zero [netip.Addr].
	Invalid Reason = "no valid address"
	// Unspecified: 0.0.0.0 or ::, which is nobody's address.
	Unspecified Reason = "unspecified address"
	// Loopback: the client is this machine.
	Loopback Reason = "loopback address"
	// LinkLocal: the client is on the same link.
	LinkLocal Reason = "link-local address"
	// Private: the client is on a private network (RFC 1918, RFC 4193).
	Private Reason = "private address"
	// CGNAT: the client is behind the same carrier's address translation (RFC 6598).
	CGNAT Reason = "carrier-grade NAT address"
	// Multicast: the address is a group's.
	Multicast Reason = "multicast address"
	// NotFound: the database does not know the address.
	NotFound Reason = "address not found"
	// NoCountry: the database knows the address but not its country.
	NoCountry Reason = "no country for the address"
)

// Error says the reason in words, without the address.
func (r Reason) Error() string { return string(r) }
