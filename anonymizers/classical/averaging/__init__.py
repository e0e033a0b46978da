"""Release averages of several people."""
