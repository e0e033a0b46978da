"""The commit that a figure was measured at."""

from __future__ import annotations

import subprocess


def commit_here() -> str:
    """Return the short name of the checked-out commit; empty where git knows of none."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
