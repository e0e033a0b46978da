"""Train the demo networks: `python -m evaluators.demo.training`. A few minutes of CPU, seeded.

The two embedders and the two teachers see people of their own, below number 10,000, whom no protocol uses.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional

from evaluators.demo import faces as rendered
from evaluators.demo import geometry, render
from evaluators.demo.nets import DIMENSION, WEIGHTS, build

SEED = 0
PEOPLE = {
    "embedder": (0, 800, 10),
    "held_out": (2000, 1100, 10),
    "teacher": (4000, 1400, 12),
    "second_teacher": (5400, 1400, 6),
}
"""Network -> first person, number of people, pictures of each."""
EPOCHS = {"embedder": 8, "held_out": 8, "teacher": 8, "second_teacher": 8}
WRONG_LABELS = 0.15
"""Share of the second teacher's labels that are drawn anew: people who label expressions do not agree either."""
TEACHERS = ("teacher", "second_teacher")
TEST_PERSON = 9_000
"""First of the people on whom a trained network is measured; protocols use others still."""
FRESH_PERSON = 20_000
"""First of the people on whom nothing was ever trained, chosen or looked at."""
BATCH = 128
GOALS = {"embedder": 0.95, "held_out": 0.95, "teacher": 0.50, "second_teacher": 0.35}
"""Rank-1, or accuracy: whoever knows the true motions names 0.67 of the words (gradient boosting, 1,960 faces)."""


def arcface(embedding: Tensor, weight: Tensor, label: Tensor, *, scale: float = 24.0, margin: float = 0.3) -> Tensor:
    """Compute the ArcFace loss (Deng et al., CVPR 2019, https://arxiv.org/abs/1801.07698).

    Args:
        embedding: (N, D) float32.
        weight: (C, D) float32, one direction per person.
        label: (N,) int64 in [0, C).
        scale: of the logits.
        margin: added to the angle to the own direction, rad.
    """
    cosine = functional.normalize(embedding) @ functional.normalize(weight).T
    angle = cosine.gather(1, label[:, None]).clamp(-1 + 1e-6, 1 - 1e-6).acos()
    own = (angle + margin).clamp_max(torch.pi).cos()
    return functional.cross_entropy(scale * cosine.scatter(1, label[:, None], own), label)


def supervised_contrastive(embedding: Tensor, label: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Compute the supervised contrastive loss (Khosla et al., NeurIPS 2020, https://arxiv.org/abs/2004.11362).

    Args:
        embedding: (N, D) float32.
        label: (N,) int64; pictures with equal labels attract each other. Each label occurs at least twice.
        temperature: of the cosines.
    """
    unit = functional.normalize(embedding)
    itself = torch.eye(len(unit), dtype=torch.bool)
    logits = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)
    same = (label[:, None] == label[None, :]) & ~itself
    log_share = logits - logits.logsumexp(1, keepdim=True)
    return -(log_share.masked_fill(~same, 0).sum(1) / same.sum(1)).mean()


def one_against_the_rest(logits: Tensor, label: Tensor) -> Tensor:
    """Compute the binary cross-entropy of each class against all others.

    Args:
        logits: (N, C) float32.
        label: (N,) int64 in [0, C).
    """
    return functional.binary_cross_entropy_with_logits(logits, functional.one_hot(label, logits.shape[1]).float())


def relabelled(label: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Draw a share of the labels anew, all words alike.

    Args:
        label: (N,) int64 in [0, 7).
        share: in [0, 1].
        generator: of the draws.
    """
    others = torch.randint(0, len(geometry.EXPRESSIONS), label.shape, generator=generator)
    return torch.where(torch.rand(label.shape, generator=generator) < share, others, label)


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift, dim, soften a little: what any recognition network has seen, but nothing like an anonymizer.

    Args:
        images: (N, 3, 112, 112) uint8.
        generator: of the draws.

    Returns:
        (N, 3, 112, 112) float32 in [0, 1].
    """

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(len(images), 1, 1, 1).uniform_(low, high, generator=generator)

    dx, dy = torch.randint(-3, 4, (2,), generator=generator).tolist()
    x = images.roll((dy, dx), (2, 3)).float() / 255
    softened = functional.avg_pool2d(functional.avg_pool2d(x, 3, 1, 1), 5, 1, 2)
    x = torch.lerp(x, softened, uniform(-0.4, 1.0).clamp_min(0))
    return (x * uniform(0.85, 1.15) + uniform(-0.08, 0.08)).clamp(0, 1)


def batches(label: Tensor, per_label: int, generator: torch.Generator) -> list[Tensor]:
    """Shuffle positions into batches of BATCH; with `per_label` > 1, so many of each label stay together."""
    order = torch.randperm(len(label), generator=generator)
    if per_label > 1:
        order = order[label[order].argsort(stable=True)].view(-1, per_label)
        order = order[torch.randperm(len(order), generator=generator)].flatten()
    size = BATCH - BATCH % per_label
    return [part for part in order.split(size) if len(part) == size]


def train(net: str, *, people: int | None = None, epochs: int | None = None) -> nn.Module:
    """Render the people of a network and train it.

    Args:
        net: a name in PEOPLE.
        people: fewer than PEOPLE says, for a trial.
        epochs: fewer than EPOCHS says, for a trial.
    """
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    first, count, pictures = PEOPLE[net]
    count, epochs = people or count, epochs or EPOCHS[net]
    start = time.perf_counter()
    faces = rendered.people(first, count, pictures, seed=SEED)
    print(f"{net}: rendered {len(faces.images)} faces in {time.perf_counter() - start:.0f} s", flush=True)
    label = faces.expression if net in TEACHERS else faces.identity - first
    if net == "second_teacher":
        label = relabelled(label, WRONG_LABELS, generator)
    module = build(net).to(memory_format=torch.channels_last)
    directions = nn.Parameter(torch.randn(count, DIMENSION))
    loss_of: Callable[[Tensor, Tensor], Tensor] = {
        "embedder": lambda out, y: arcface(out, directions, y),
        "held_out": lambda out, y: supervised_contrastive(out, y),
        "teacher": lambda out, y: functional.cross_entropy(out, y, label_smoothing=0.02),
        "second_teacher": one_against_the_rest,
    }[net]
    parameters = [*module.parameters(), *([directions] if net == "embedder" else [])]
    together = 5 if net == "held_out" else 1
    steps = len(batches(label, together, generator))
    optimizer = torch.optim.AdamW(parameters, weight_decay=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, epochs=epochs, steps_per_epoch=steps)
    for epoch in range(epochs):
        total, module = 0.0, module.train()
        for part in batches(label, together, generator):
            x = augment(faces.images[part], generator).contiguous(memory_format=torch.channels_last)
            with torch.autocast(
                "cpu", torch.bfloat16
            ):  # a third faster where the CPU knows it; the weights stay float32
                out = module(x)
            loss = loss_of(out.float(), label[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        elapsed = time.perf_counter() - start
        print(f"{net}: epoch {epoch + 1}/{epochs}, loss {total / steps:.3f}, {elapsed:.0f} s", flush=True)
    return module.eval()


@torch.inference_mode()
def measure(net: str, module: nn.Module, first: int = TEST_PERSON) -> float:
    """Measure on unseen people: rank-1 of 100 people with one gallery picture each, or accuracy on 700 faces.

    Args:
        net: a name in PEOPLE.
        module: the network, in evaluation mode.
        first: number of the first of the 100 people.
    """
    pictures = 7 if net in TEACHERS else 4
    faces = rendered.people(first, 100, pictures, seed=SEED + 1)
    out = torch.cat([module(part.float() / 255) for part in faces.images.split(100)])
    if net in TEACHERS:
        return float((out.argmax(1) == faces.expression).double().mean())
    unit = functional.normalize(out).view(100, pictures, -1)
    scores = unit[:, 1:].flatten(0, 1) @ unit[:, 0].T
    return float((scores.argmax(1) == torch.arange(100).repeat_interleave(pictures - 1)).double().mean())


def renderer_digest() -> str:
    """Return the SHA-256 over the renderer's source: weights and renderer belong together.

    Import statements are left out, so that a renamed module does not ask for new weights.
    """
    files = (rendered.__file__, geometry.__file__, render.__file__)
    return hashlib.sha256("".join(_without_imports(Path(file).read_text()) for file in files).encode()).hexdigest()


def _without_imports(source: str) -> str:
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    return "".join(lines)


def main() -> None:
    """Train the networks, print how good they are, and write their weights."""
    parser = argparse.ArgumentParser(description="Train the demo networks.")
    parser.add_argument("--net", choices=[*PEOPLE], action="append", help="one network only; default: all")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder of the weights")
    parser.add_argument("--people", type=int, help="train on fewer people, for a trial")
    parser.add_argument("--epochs", type=int, help="train for fewer epochs, for a trial")
    parser.add_argument("--measure", type=int, metavar="GROUPS", help="train nothing: measure on so many fresh groups")
    options = parser.parse_args()
    if options.measure:
        for net in options.net or PEOPLE:
            module = build(net)
            module.load_state_dict(load_file(options.out / f"demo_{net}.safetensors"))
            module.eval()
            with torch.no_grad():
                figures = [measure(net, module, FRESH_PERSON + 100 * i) for i in range(options.measure)]
            mean = sum(figures) / len(figures)
            print(f"{net}: mean {mean:.3f}, {min(figures):.3f} to {max(figures):.3f} on {len(figures)} groups of 100")
        return
    for net in options.net or PEOPLE:
        module = train(net, people=options.people, epochs=options.epochs)
        figure = measure(net, module)
        measured = "accuracy" if net in TEACHERS else "rank-1"
        print(f"{net}: {measured} {figure:.3f} on unseen people (goal {GOALS[net]})", flush=True)
        path = options.out / f"demo_{net}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        facts = {"net": net, "seed": str(SEED), measured: f"{figure:.4f}", "renderer": renderer_digest()}
        new = path.with_suffix(".new")
        tensors = {name: value.contiguous() for name, value in module.state_dict().items()}
        new.write_bytes(save(tensors, metadata=facts))  # save_file's would be the owner's alone to read
        new.replace(path)


if __name__ == "__main__":
    main()
