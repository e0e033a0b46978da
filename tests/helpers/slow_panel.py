"""A panel that takes its time, for tests that disturb it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from anonymizers import Anonymizer, Pixelate
from evaluators.metrics.scores import Scores
from tests.helpers.fake_panel import FakePanel


class SlowPanel(FakePanel):
    """Score as FakePanel does, after a while."""

    def __init__(self, seconds: float = 0.2) -> None:
        super().__init__()
        self.seconds = seconds

    def describe(self) -> dict[str, Any]:
        gib = 2**30
        return super().describe() | {"device_bytes": (5 * gib, 16 * gib)}  # as if each were on a GPU

    def score(self, anonymizer: Anonymizer) -> Scores:
        time.sleep(self.seconds)
        return super().score(anonymizer)


@dataclass(frozen=True)
class MakeSlowPanel:
    """Make a SlowPanel where it will live; the ballast stands for faces."""

    seconds: float = 0.2
    ballast: bytes = b""
    networks: None = None
    attackers: tuple[str, ...] = ()
    families: Mapping[str, bytes] = field(default_factory=dict)
    families_left_out: Mapping[str, str] = field(default_factory=dict)

    def __call__(self) -> SlowPanel:
        return SlowPanel(self.seconds)


class Deadly(SlowPanel):
    """End the process at one configuration, as a crash in a native library does."""

    def score(self, anonymizer: Anonymizer) -> Scores:
        if anonymizer == Pixelate(8):
            os._exit(1)
        return super().score(anonymizer)


class Unmakeable:
    """A panel whose making fails."""

    def __init__(self) -> None:
        raise ValueError("the networks of this run are not there")


class Vanishing:
    """A panel whose process ends while it is made."""

    def __init__(self) -> None:
        os._exit(1)
