"""The panel on a small demo world: its anchors, its refusals, its cache."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from anonymizers import Blackout, Blur, Donors, Faces, Generator, Identity, KSame
from evaluators.datasets.protocol import Protocol
from evaluators.demo.protocol import demo_protocol
from evaluators.metrics import METRICS
from evaluators.panel import CannotLearnError, Panel
from evaluators.zoo import load_nets

BLUR = Blur(kernel=61)


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return demo_protocol(evaluated=24, pictures=4, attacker=40, background=30)


@pytest.fixture(scope="module")
def panel(protocol: Protocol) -> Panel:
    return Panel(protocol, load_nets(None))


def test_the_identity_transform_is_the_ceiling(panel: Panel) -> None:
    clear = panel.score(Identity())
    assert clear["rank1_worst"] >= 0.95
    assert clear["expression_kappa"] == 1
    assert clear["expression_agreement"] == 1
    assert clear["st_lpips"] == pytest.approx(0, abs=1e-6)
    assert clear["ssim"] == pytest.approx(1, abs=1e-6)
    assert clear["mse"] == 0
    assert clear.values["psnr"] is None
    assert clear["expression_accuracy"] >= 0.45  # whoever knows the true motions names 0.67 of the words
    assert clear["expression_kappa_adapted"] > 0.7
    assert clear["frechet_embedding"] == pytest.approx(0, abs=1e-6)
    assert clear["eer"] < 0.02
    assert clear["auc"] > 0.99


def test_blackout_is_chance(panel: Panel) -> None:
    black = panel.score(Blackout())
    for name in ("rank1_fixed", "rank1_parrot", "rank1_retrained", "rank1_mapped", "rank1_worst"):
        assert black[name] == pytest.approx(black.chance_rank1, abs=1e-9)
        low, high = black.intervals[name]
        assert low <= black.chance_rank1 <= high
    assert black["advantage"] == pytest.approx(0, abs=1e-9)
    assert black["auc"] == black["linkability_auc"] == black["eer"] == 0.5
    assert black["tar_at_far_1e2"] == 0
    assert black["d_prime"] == pytest.approx(0, abs=1e-9)
    assert black["expression_kappa"] == pytest.approx(0, abs=1e-9)
    assert black["expression_kappa_adapted"] == pytest.approx(0, abs=1e-9)
    assert black["expression_agreement"] == pytest.approx(black["expression_agreement_chance"])


def test_what_conditions_a_method_has_columns(protocol: Protocol, panel: Panel) -> None:
    assert panel.score(BLUR).values["signal_share"] is None
    whole = panel.score(Generator())
    assert whole["signal_share"] == 1 and whole.values["signal_nme"] is None  # there is no detector to compare with
    signals = {name: signal.clone() for name, signal in protocol.probe.signals.items()}
    signals["landmarks68"][:18] = torch.nan
    torn = replace(protocol, probe=replace(protocol.probe, signals=signals))
    bare = Panel(torn, replace(load_nets(None), perceptual=()), attackers=("fixed",))
    other = bare.score(Generator())
    assert other["signal_share"] == pytest.approx(1 - 18 / len(protocol.probe))
    low, high = other.intervals["signal_share"]
    assert low < other["signal_share"] < high
    assert other["expression_kappa"] < whole["expression_kappa"]  # who has no signal is released black


def test_our_generator_hides_more_and_keeps_more_than_any_blur(panel: Panel) -> None:
    own, blurred = panel.score(Generator()), panel.score(BLUR)
    assert own["rank1_worst"] < 0.2 < 0.7 < blurred["rank1_worst"]
    for judge in ("demo_teacher", "demo_coefficients"):  # the second teacher's share, of so few people, is ± 0.3
        assert own[f"expression_kept_{judge}"] > 0.25 > blurred[f"expression_kept_{judge}"]
    assert own["expression_kappa"] > 0.3  # and it shows, to a teacher who never saw a drawn face


def test_the_strongest_attacker_counts_and_what_cannot_be_measured_is_none(panel: Panel) -> None:
    scores = panel.score(BLUR)
    attackers = [scores[f"rank1_{name}"] for name in ("fixed", "parrot", "retrained", "mapped", "undone")]
    assert scores["rank1_worst"] == max(attackers)
    for name in ("lpips", "fid", "kid", "ms_ssim", "detection_rate", "landmark_nme", "tar_at_far_1e4"):
        assert scores.values[name] is None
    # The strongest attacker's figures are no weaker than those of the clear gallery alone.
    assert 0 < scores["tar_at_far_1e2"] <= 1
    assert 0 < scores["eer"] < 0.5 < scores["auc"] < 1
    assert set(scores.values) == set(METRICS)
    for name, (low, high) in scores.intervals.items():
        assert low <= scores[name] + 1e-9, name
        assert scores[name] <= high + 1e-9, name
    assert set(scores.replicates) == {"rank1_worst", "expression_kept"}
    assert all(len(draws) == 2000 for draws in scores.replicates.values())


def test_a_configuration_is_measured_once(panel: Panel) -> None:
    assert panel.score(Blur(kernel=61)) is panel.score(Blur(kernel=61))


def test_a_new_panel_gives_the_same_numbers(panel: Panel, protocol: Protocol) -> None:
    again = Panel(protocol, load_nets(None)).score(KSame(k=3, variant="select"))
    first = panel.score(KSame(k=3, variant="select"))
    for name, value in first.values.items():
        assert again.values[name] == pytest.approx(value, abs=1e-5), name


def test_an_attacker_that_cannot_learn_is_an_error(protocol: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    from evaluators import attackers

    broken = {
        **attackers.ATTACKERS,
        "retrained": lambda evidence: torch.rand(len(evidence.clear.probe), evidence.clear.people),
    }
    monkeypatch.setattr("evaluators.measuring.identification.ATTACKERS", broken)
    nets = replace(load_nets(None), perceptual=())
    with pytest.raises(CannotLearnError, match="attacker retrained: expected rank-1 of at least"):
        Panel(protocol, nets, attackers=("fixed", "retrained"))


def test_released_pictures_are_of_different_people(panel: Panel) -> None:
    pictures = panel.released(Identity(), 5)
    assert pictures.shape == (5, 112, 112, 3)
    assert len({picture.tobytes() for picture in pictures}) == 5


def test_a_protocol_refuses_what_cannot_be_measured(protocol: Protocol) -> None:
    probe, gallery = protocol.probe, protocol.gallery
    with pytest.raises(ValueError, match="same people in gallery and probe"):
        replace(protocol, probe=probe.take(torch.nonzero(probe.identity != probe.identity[0])[:, 0]))
    with pytest.raises(ValueError, match="stand in both attacker and gallery"):
        replace(
            protocol,
            attacker=Faces(gallery.images, gallery.identity, gallery.expression, tuple("x" + k for k in gallery.key)),
        )
    with pytest.raises(ValueError, match="stand on two sides"):
        replace(protocol, probe=gallery)
    one = torch.nonzero(gallery.identity == gallery.identity[0])[:, 0]
    with pytest.raises(ValueError, match="at least 2 enrolled people"):
        replace(
            protocol,
            gallery=gallery.take(one),
            probe=probe.take(torch.nonzero(probe.identity == gallery.identity[0])[:, 0]),
        )


def test_the_digest_knows_every_pixel_and_the_seed(protocol: Protocol) -> None:
    assert protocol.digest == demo_protocol(evaluated=24, pictures=4, attacker=40, background=30).digest
    changed = protocol.probe.images.clone()
    changed[3, 0, 5, 5] ^= 1
    assert replace(protocol, probe=replace(protocol.probe, images=changed)).digest != protocol.digest
    assert replace(protocol, seed=1).digest != protocol.digest


def test_what_does_not_fit_into_memory_is_streamed_to_the_same_value(
    panel: Panel, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluators.measuring.realism.KEPT_BYTES", 0)
    monkeypatch.setattr("evaluators.measuring.realism.STREAMED", 7)
    streamed = Panel(protocol, load_nets(None), attackers=("fixed",))
    assert streamed.originals.perceptual == {"st_lpips": None}
    assert streamed.score(BLUR)["st_lpips"] == pytest.approx(panel.score(BLUR)["st_lpips"], abs=1e-6)


def test_donors_keep_what_an_average_of_the_faces_themselves_loses(panel: Panel) -> None:
    donors, same = panel.score(Donors(k=10)), panel.score(KSame(k=10))
    assert donors["expression_kept"] > same["expression_kept"] + 0.1
    assert donors["rank1_fixed"] < 0.3


def test_the_background_is_measured_when_a_method_first_asks(panel: Panel) -> None:
    looked: list[int] = []

    def measure(images: torch.Tensor) -> torch.Tensor:
        looked.append(len(images))
        return torch.zeros(len(images), 3)

    clear = replace(panel.clear, background=replace(panel.clear.background, signals={}))
    first = clear.told(("pose",), {"pose": measure})
    assert first.signals["pose"].shape == (len(clear.background), 3)
    assert clear.told(("pose",), {"pose": measure}) is first and looked == [len(clear.background)]
    assert clear.told((), {"pose": measure}) is clear.background
