"""Ctrl-C and SIGTERM: a sentence at once, and the work ends where it can be gone on with.

A signal ends what runs by KeyboardInterrupt, but for what must be whole, such as a row of the ledger: that is `held`,
and the interruption comes after it.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "asked to end (SIGTERM)"}
"""Schedulers send the second: docker stop, scancel, an eviction from a Kubernetes node."""


class _State:
    """What signals have been, and what they do."""

    asked = False
    holds = 0
    ending: Callable[[], str] = staticmethod(lambda: "")


@contextlib.contextmanager
def listening(say: Callable[[str], None]) -> Iterator[None]:
    """Listen for both signals while the context lasts; a second one ends whatever is done then.

    Args:
        say: is told at once what is being finished, see `ending_with`.
    """
    _State.asked, _State.holds, _State.ending = False, 0, lambda: "what was begun is given up"

    def heard(number: int, frame: Any) -> None:
        again, _State.asked = _State.asked, True
        if not again:
            say(f"{SIGNALS[signal.Signals(number)]}: {_State.ending()}; once more ends at once")
        if again or not _State.holds:
            raise KeyboardInterrupt

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, heard) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ending_with(sentence: Callable[[], str]) -> None:
    """Say what is finished before the end, from now on."""
    _State.ending = staticmethod(sentence)


def asked() -> bool:
    """Tell whether a signal came, so that whoever is in `held` may end early."""
    return _State.asked


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Let nothing be interrupted within but by a second signal; the first is raised at the end."""
    before = _State.asked
    _State.holds += 1
    try:
        yield
    finally:
        _State.holds -= 1
    if _State.asked and not before and not _State.holds:
        raise KeyboardInterrupt
