"""Compare configurations of a sweep on the same faces."""
