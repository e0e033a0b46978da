"""The search on a third of the demo world, for tests of everything but the faces.

python -m tests.helpers.small_search OPTIONS, which are those of python -m orchestrator.search.
"""

from __future__ import annotations

import functools
import runpy

from evaluators import demo

if __name__ == "__main__":
    # As many people as the default spaces average at most, with fewer pictures.
    demo.demo_protocol = functools.partial(demo.demo_protocol, evaluated=50, pictures=4, attacker=40, background=50)
    runpy.run_module("orchestrator.search", run_name="__main__", alter_sys=True)
