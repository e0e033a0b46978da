"""Where things lie: the project, and the test data beside it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
"""Real networks and faces, where present; tests that want them skip where they are not."""
