from __future__ import annotations

import os
import signal

import pytest

from orchestrator.sweep.interruption import asked, ending_with, held, listening


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_said_at_once_and_ends_what_runs(number: signal.Signals) -> None:
    said: list[str] = []
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), listening(said.append):
        ending_with(lambda: "tables of 3 trials are written")
        os.kill(os.getpid(), number)
        pytest.fail("nothing was interrupted")
    assert len(said) == 1 and "tables of 3 trials are written" in said[0]
    assert asked()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_what_is_held_is_whole() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), listening(lambda sentence: steps.append("said")):
        with held():
            with held():
                os.kill(os.getpid(), signal.SIGTERM)
                steps.append("inner")
            steps.append("outer")
        steps.append("never")
    assert steps == ["said", "inner", "outer"]


def test_a_second_signal_ends_even_what_is_held() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), listening(lambda sentence: steps.append("said")), held():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        steps.append("never")
    assert steps == ["said"]


def test_after_an_interruption_the_rest_is_not_interrupted_again() -> None:
    with pytest.raises(KeyboardInterrupt), listening(lambda sentence: None):
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            with held():
                written = True
            assert written
            raise
