"""A self-managing trading bot whose whole mind is explicit state machines in one SQLite file."""
