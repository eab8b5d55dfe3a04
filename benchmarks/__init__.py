"""How fast it is, beside what one would take instead: `make bench`."""
