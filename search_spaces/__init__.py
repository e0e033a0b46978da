"""Say what may be tried: ranges live with the anonymizers, a space selects and narrows them."""

from __future__ import annotations

from search_spaces.named import SPACES, load_space
from search_spaces.space import SearchSpace

__all__ = ["SPACES", "SearchSpace", "load_space"]
