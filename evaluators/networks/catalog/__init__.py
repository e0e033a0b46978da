"""The catalog: which networks there are, where from, and how each is fed and read."""
