"""Attackers who work on embeddings: the networks stay as they are."""
