"""A real PDS and its directory of accounts, for tests on loopback, and what a network has beside them."""
