"""Looking at released pictures: no network is asked about none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from anonymizers import Blur
from evaluators.demo.protocol import demo_protocol
from evaluators.panel import Panel
from evaluators.readers import looking
from evaluators.zoo import load_nets


def test_people_with_few_pictures_leave_none_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    look, looked = looking.look, []

    def counted(images: Any, *given: Any) -> Any:
        looked.append(len(images))
        return look(images, *given)

    monkeypatch.setattr(looking, "look", counted)
    protocol = demo_protocol(evaluated=24, pictures=2, attacker=looking.ASKED // looking.OF_EACH, background=4)
    panel = Panel(protocol, replace(load_nets(None), perceptual=()), attackers=("fixed",))
    scores = panel.score(Blur(kernel=11))
    assert looking.ASKED in looked and 0 not in looked
    assert scores.values["linkability_auc"] is None  # one probe of each person: there are no two to link
