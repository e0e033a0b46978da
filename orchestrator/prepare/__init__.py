"""A source of pictures becomes a prepared set."""
