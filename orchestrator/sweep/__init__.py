"""A sweep: what is proposed, measured and taken, with or without Ray."""
