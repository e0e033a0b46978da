"""Faces of these tests are drawn, and what finds them knows how; tests with real ones do without it."""

from __future__ import annotations

import pytest

from tests.helpers.drawn_faces import use_drawn_finder


@pytest.fixture
def drawn_finder(monkeypatch: pytest.MonkeyPatch) -> None:
    use_drawn_finder(monkeypatch)
