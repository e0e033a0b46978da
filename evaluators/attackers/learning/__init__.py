"""What attackers learn with: regression, discriminants, descent, an image-to-image network."""
