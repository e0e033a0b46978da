"""Cover the face, or parts of it, with what is not a face."""
