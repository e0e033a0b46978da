"""How many faces the adapted reader and the mapping attacker need until they stop rising; a linear head against an MLP.

uv run python -m benchmarks.learning_curve [--data FACES --models MODELS]

On the demo world, or on a set of faces with real networks, split as a search splits it. The faces that they learn from
are the first so many of a seeded order of the attacker people; the probes stay the same.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from anonymizers import Anonymizer, Blur, Identity, Pixelate
from benchmarks.chosen_faces import chosen_faces
from evaluators.attackers.embeddings import mapped
from evaluators.attackers.evidence import Evidence
from evaluators.attackers.learning.descent import descend, draw
from evaluators.demo.protocol import demo_protocol
from evaluators.measuring.tally import Tally
from evaluators.metrics.identification import person_scores, rank_credit
from evaluators.panel import Panel
from evaluators.readers.linear import fit
from evaluators.zoo import load_nets

CONFIGURATIONS: tuple[Anonymizer, ...] = (Identity(), Blur(kernel=31), Blur(kernel=71), Pixelate(block=8))
COUNTS = (50, 100, 200, 400, 800, 1200, 1600, 2400, 4800)
HIDDEN = 128
STEPS = 300
BATCH = 256
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.1
DROPOUT = 0.3


def mlp_answers(features: Tensor, answer: Tensor, asked: Tensor, classes: int, seed: int = 0) -> Tensor:
    """Train a hidden layer on (A, F) features and their (A,) answers, and return its (N,) answers on (N, F) others."""
    mean, scale = features.mean(0), features.std(0).clamp_min(1e-6)
    x, y = (features - mean) / scale, (asked - mean) / scale
    generator = torch.Generator().manual_seed(seed)
    weights = [
        torch.randn(x.shape[1], HIDDEN, generator=generator) / x.shape[1] ** 0.5,
        torch.zeros(HIDDEN),
        torch.randn(HIDDEN, classes, generator=generator) / HIDDEN**0.5,
        torch.zeros(classes),
    ]
    for weight in weights:
        weight.requires_grad_()

    def logits(x: Tensor, keep: Tensor | float) -> Tensor:
        return functional.gelu(x @ weights[0] + weights[1]) * keep @ weights[2] + weights[3]

    def loss_of(_: int) -> Tensor:
        drawn = draw(len(x), BATCH, generator, x.device)
        keep = (torch.rand(len(drawn), HIDDEN, generator=generator) > DROPOUT).float() / (1 - DROPOUT)
        return functional.cross_entropy(logits(x[drawn], keep), answer[drawn])

    descend(weights, loss_of, steps=STEPS, learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    with torch.no_grad():
        return logits(y, 1.0).argmax(1)


@torch.no_grad()
def curve(panel: Panel, anonymizer: Anonymizer) -> None:
    """Print one line for each number of faces."""
    clear, nets, seed = panel.clear, panel.nets, panel.protocol.seed
    evidence = Evidence(anonymizer, clear, nets, seed=seed, batch_size=panel.batch_size)
    truth, answer, classes = clear.probe_reading.logits.argmax(1), clear.attacker_answer, len(nets.teacher.classes)
    asked, features = evidence.probe_reading.features, evidence.attacker_reading.features
    name = " ".join(map(str, (anonymizer.method, *list(anonymizer.hyperparameters().values())[:1])))
    order = torch.randperm(len(answer), generator=torch.Generator().manual_seed(0))
    for count in (*(n for n in COUNTS if n < len(answer)), len(answer)):
        some = order[:count]
        told = []
        for said in (
            fit(features[some], answer[some], classes)(asked).argmax(1),
            mlp_answers(features[some], answer[some], asked, classes),
        ):
            tally = Tally(clear.probe_person, panel.draws, ())
            tally.kappa("expression_kappa_adapted", truth, said, classes)
            low, high = tally.intervals["expression_kappa_adapted"]
            told.append(f"{tally.values['expression_kappa_adapted']:.3f} [{low:.3f}, {high:.3f}]")
        mapping = mapped.train(evidence.attacker_embedding[some], clear.attacker_embedding[some], seed=seed)
        mapped_probe = mapping(evidence.probe_embedding)
        scores = person_scores(mapped_probe, clear.gallery_embedding, clear.gallery_person, clear.people)
        rank1 = float(rank_credit(scores, clear.probe_person, 1).mean())
        print(f"| {name} | {count} | {' | '.join(told)} | {rank1:.3f} |", flush=True)


def main() -> None:
    protocol, networks, commit = chosen_faces(__doc__, lambda: demo_protocol(attacker=300, pictures=8))
    panel = Panel(protocol, load_nets(networks))
    print(f"{protocol.name}, {len(protocol.probe)} probes of {len(protocol.enrolled)} people, commit {commit}")
    print("| configuration | faces learnt from | linear head, kappa | MLP, kappa | mapped, rank-1 |")
    print("|---|---|---|---|---|")
    for anonymizer in CONFIGURATIONS:
        curve(panel, anonymizer)


if __name__ == "__main__":
    main()
