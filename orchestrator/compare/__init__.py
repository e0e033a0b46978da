"""Compare configurations of a sweep, and sweeps, on the same faces."""
