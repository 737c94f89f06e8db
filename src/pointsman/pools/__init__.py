"""Which endpoint? Membership, leases, health, balancing."""
