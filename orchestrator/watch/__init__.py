"""Watch a sweep while it runs, in a browser."""
