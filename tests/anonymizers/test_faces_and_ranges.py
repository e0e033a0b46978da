"""Faces and ranges: what a hyperparameter may be."""

from __future__ import annotations

import pytest

from anonymizers import ANONYMIZERS, Anonymizer


@pytest.mark.parametrize("kind", ANONYMIZERS.values(), ids=lambda kind: kind.method)
def test_a_value_outside_its_range_is_refused(kind: type[Anonymizer]) -> None:
    for name, over in kind.ranges().items():
        with pytest.raises(ValueError, match=f"{kind.method}.{name}"):
            kind(**{**{n: o.corners()[0] for n, o in kind.ranges().items()}, name: "nonsense"})
        if hasattr(over, "high"):
            with pytest.raises(ValueError, match="expected one of"):
                kind(**{**{n: o.corners()[0] for n, o in kind.ranges().items()}, name: over.high + 1})
