"""The whole search with a panel that is a formula, in seconds: for what happens around the measuring.

python -m tests.helpers.quick_search OPTIONS, which are those of python -m orchestrator.search. TRIAL_SECONDS says how
long a trial takes.
"""

from __future__ import annotations

import os
import runpy
from collections.abc import Callable
from typing import Any

from evaluators.datasets.protocol import Protocol
from tests.helpers.slow_panel import MakeSlowPanel


def tiny(*given: Any) -> Protocol:
    from evaluators.demo.protocol import demo_protocol

    return demo_protocol(evaluated=6, pictures=4, attacker=4, background=2)


def of_formulas(*given: Any, **named: Any) -> Callable[[], Any]:
    return MakeSlowPanel(float(os.environ.get("TRIAL_SECONDS", "0")))


if __name__ == "__main__":
    from orchestrator.search import run

    run.MakePanel, run.load_protocol = of_formulas, tiny  # type: ignore[assignment,misc]
    runpy.run_module("orchestrator.search", run_name="__main__", alter_sys=True)
