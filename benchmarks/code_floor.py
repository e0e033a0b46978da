"""What the code tells that chooses donors: who is recognized by it alone, without any picture, and what is read of it.

uv run python -m benchmarks.code_floor [--data FACES --models MODELS]

The attacker sees the exact expression and pose of gallery and probes, more than any picture of donors can carry. The
reader learns from the codes of other people what each categorical judge says of their clear faces. Both see the code as
donors with few `axes` leave it, and with `noise`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from anonymizers import Faces
from anonymizers.classical.averaging.bank import CODE, axes_of, spread_of
from anonymizers.signals import present
from benchmarks.chosen_faces import chosen_faces
from evaluators.attackers.embeddings import retrained
from evaluators.demo.protocol import demo_protocol
from evaluators.metrics.expression import confusion_by_person, kappa
from evaluators.metrics.identification import fused, person_scores, rank_credit
from evaluators.metrics.statistics import wilson_interval
from evaluators.networks.roles import Teacher
from evaluators.networks.signals import with_measured
from evaluators.readers.heads import fit_heads
from evaluators.zoo import load_nets

AXES, NOISE = (52, 10, 6, 4), (0.5, 1.0)
"""Principal axes that are left of the expression, and deviations of the noise on the whole code."""


def through(codes: Tensor, axes: Tensor) -> Tensor:
    """Return (N, A + 3) codes: the expression along (D, A) axes, and the pose."""
    return torch.cat((codes[:, :-3] @ axes, codes[:, -3:]), 1)


def codes_of(faces: Faces, center: Tensor, deviation: Tensor) -> Tensor:
    """Return (N, D + 3) standardized codes; of a face without one the mean, which is all that is known of it."""
    raw = torch.cat([faces.signals[name].float() for name in CODE], 1)
    return torch.where(present(raw)[:, None], (raw - center) / deviation, 0.0)


@torch.no_grad()
def recognized(
    probe: Tensor, gallery: Tensor, probe_person: Tensor, gallery_person: Tensor, people: int
) -> tuple[float, float, float, float]:
    """Search codes for people by cosine and by the classifier of `retrained`, and let the better one count.

    Args:
        probe: (N, D) float32; gallery: (M, D) float32.
        probe_person: (N,) int64; gallery_person: (M,) int64, in [0, people).
        people: P.

    Returns:
        rank-1, its interval, and rank-1 with all of a person's probes at once.
    """
    with torch.enable_grad():
        classifier = retrained.enroll(gallery, gallery_person, people, seed=0)
    ways = (
        person_scores(functional.normalize(probe), functional.normalize(gallery), gallery_person, people),
        retrained.classify(classifier, probe),
    )
    credit = max((rank_credit(scores, probe_person, 1).cpu() for scores in ways), key=lambda one: float(one.mean()))
    low, high = wilson_interval(credit, probe_person.cpu())
    who = torch.arange(people)
    together = max(float(rank_credit(fused(scores, probe_person), who, 1).mean()) for scores in ways)
    return float(credit.mean()), low, high, together


@torch.no_grad()
def readable(
    code: Tensor, person: Tensor, said: Mapping[str, Tensor], asked: Tensor, truth: Mapping[str, Tensor]
) -> dict[str, float]:
    """Return each judge's kappa with a reader of (A, D) codes of other people, on (N, D) codes of the probes."""
    heads = fit_heads(code, said, person, [code.shape[1]])
    found = {}
    for name, head in heads.items():
        classes = int(max(said[name].max(), truth[name].max())) + 1
        answer, nobody = head(asked).argmax(1), torch.zeros(len(asked), dtype=torch.int64)
        found[name] = float(kappa(confusion_by_person(truth[name], answer, nobody, 1, classes).sum(0)))
    return found


def main() -> None:
    protocol, networks, commit = chosen_faces(__doc__, demo_protocol, CODE)
    nets = load_nets(networks, signals=() if networks is None else CODE)
    probe, gallery, attacker = (
        with_measured(faces, nets.signals) for faces in (protocol.probe, protocol.gallery, protocol.attacker)
    )
    raw = torch.cat([attacker.signals[name].float() for name in CODE], 1)
    raw = raw[present(raw)]
    center, deviation = spread_of(raw)
    codes = {name: codes_of(one, center, deviation) for name, one in (("p", probe), ("g", gallery), ("a", attacker))}
    people = len(protocol.enrolled)
    print(f"{protocol.name}, {len(probe)} probes of {people} people, chance {1 / people:.3f}, commit {commit}")
    judges = [net for net in nets.judges if isinstance(net, Teacher)]
    said, truth = ({n.name: n(one.images).logits.argmax(1).cpu() for n in judges} for one in (attacker, probe))
    axes = axes_of(codes["a"])
    seen = {f"{few} axes": {who: through(code, axes[:, :few]) for who, code in codes.items()} for few in AXES}
    for noise in NOISE:
        drawn = torch.Generator().manual_seed(0)
        seen[f"noise {noise}"] = {
            who: code + noise * torch.randn(code.shape, generator=drawn) for who, code in codes.items()
        }
    for name, code in seen.items():
        found = recognized(code["p"], code["g"], protocol.person(probe), protocol.person(gallery), people)
        print(name, "rank-1 {:.3f} [{:.3f}, {:.3f}], with all pictures of a person {:.3f}".format(*found))
        kappas = readable(code["a"], attacker.identity.cpu(), said, code["p"], truth)
        print(" " * len(name), ", ".join(f"{judge}: kappa {value:.2f}" for judge, value in kappas.items()), flush=True)


if __name__ == "__main__":
    main()
