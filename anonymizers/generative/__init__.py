"""Methods that draw a face with a network, and what their networks are told."""
